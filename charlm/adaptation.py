"""What may stand beside a model that is measured or writes: what a person chooses.

What is done with it is in evaluation/dynamic.py, evaluation/neural_cache.py and
model/count_mixture.py; importing this file imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Annotated, TypeVar

from charlm import registry
from charlm.settings import AUTO, Setting, read_settings

HELP = "`charlm evaluate --help` shows every option with its range."

TEMPERATURE = Setting(
    "figures of logits divided by X beside; auto: the best on the run's own valid text",
    least=0.001,
    most=100,
    auto=True,
    none=True,
)

# What `evaluate --tune` chooses, and by what factor it is moved: as coarse as its best value is
# flat (scripts/LOG.md).
DYNAMIC_STEPS = {"dynamic_lr": 2.0, "dynamic_decay": 3.0}
CACHE_STEPS = {"cache_theta": 1.5, "cache_weight": 1.5}


@dataclass(frozen=True)
class DynamicSettings:
    """Dynamic evaluation (evaluation/dynamic.py). UsageError: a value outside its range."""

    dynamic_rule: Annotated[
        str,
        Setting(
            "steps in units of each weight's usual gradient, or plain ones",
            choices=tuple(registry.DYNAMIC_RULES),
        ),
    ] = "rms"
    dynamic_lr: Annotated[
        float, Setting("learning rate; auto: rms 0.001, sgd 0.1", above=0, most=1e4, auto=True)
    ] = AUTO
    dynamic_decay: Annotated[
        float, Setting("share of the way back to the trained weights, a segment", least=0, most=1)
    ] = 0.001
    dynamic_segment: Annotated[
        int, Setting("tokens scored, then learned from, at a time", least=1, most=10_000)
    ] = 20

    def __post_init__(self) -> None:
        read_settings(self, HELP)


@dataclass(frozen=True)
class CacheSettings:
    """The neural cache (evaluation/neural_cache.py). UsageError: a value outside its range."""

    cache_size: Annotated[
        int, Setting("how many tokens back it remembers", least=1, most=1_000_000)
    ] = 2000
    cache_theta: Annotated[
        float, Setting("how much more moments like this one count", least=0, most=1e4)
    ] = 1.0
    cache_weight: Annotated[float, Setting("its share of each probability", least=0, below=1)] = 0.1

    def __post_init__(self) -> None:
        read_settings(self, HELP)


@dataclass(frozen=True)
class CountSettings:
    """Counts of n-grams of the training text, mixed in (model/count_mixture.py). UsageError: a
    value outside its range."""

    counts_order: Annotated[
        int,
        Setting(
            "so many tokens at most; auto: 12 of characters and bytes, 7 of pieces, 5 of words",
            least=1,
            most=32,
            auto=True,
        ),
    ] = AUTO

    def __post_init__(self) -> None:
        read_settings(self, HELP)


Kind = TypeVar("Kind", DynamicSettings, CacheSettings, CountSettings)


@dataclass(frozen=True)
class Beside:
    """What stands beside a model; None: not that."""

    dynamic: DynamicSettings | None = None
    cache: CacheSettings | None = None
    counts: CountSettings | None = None

    def __bool__(self) -> bool:
        return bool(self.dynamic or self.cache or self.counts)

    @classmethod
    def chosen(
        cls,
        dynamic: bool | DynamicSettings,
        cache: bool | CacheSettings,
        counts: bool | CountSettings,
    ) -> "Beside":
        """The settings that were given, or for True the usual ones; None for False."""
        return cls(
            _chosen(dynamic, DynamicSettings),
            _chosen(cache, CacheSettings),
            _chosen(counts, CountSettings),
        )


def _chosen(asked: bool | Kind, kind: type[Kind]) -> Kind | None:
    if isinstance(asked, bool):
        return kind() if asked else None
    return asked
