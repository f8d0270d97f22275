"""What a person chooses about new text: how tokens are drawn, and when writing ends."""

from dataclasses import dataclass, field, fields
from typing import Annotated

from charlm.errors import UsageError
from charlm.settings import Setting, read_settings

HELP = "`charlm generate --help` shows every option with its range."


@dataclass(frozen=True)
class SamplingSettings:
    """How the model's distribution is bent before a token is drawn from it.

    Each field is named after its filter in `registry.LOGIT_FILTERS`; None leaves it out.
    `greedy` takes the most probable token and nothing else, as temperature 0 does.
    UsageError: a value outside its range, or one that `greedy` would ignore.
    """

    temperature: Annotated[
        float, Setting("below 1 more careful, above 1 more varied; 0 is greedy", least=0)
    ] = 1.0
    top_k: Annotated[
        int | None, Setting("draw among the K most probable tokens", least=1, none=True)
    ] = None
    top_p: Annotated[
        float | None,
        Setting("draw among the fewest tokens of this probability", least=0, most=1, none=True),
    ] = None
    greedy: Annotated[bool, Setting("always the most probable token")] = False

    def __post_init__(self) -> None:
        read_settings(self, HELP)
        if not self.greedy:
            return
        for field_ in fields(self):
            value = getattr(self, field_.name)
            if field_.name != "greedy" and value != field_.default:
                raise UsageError(
                    f"{_option(field_.name)} is {value}, but --greedy takes the most probable "
                    "token whatever it is",
                    f"Leave out {_option(field_.name)} or --greedy.",
                )


@dataclass(frozen=True)
class GenerationSettings:
    """How tokens are drawn, how many, and which texts end a sample early.

    `length` counts new tokens or new characters (code points); the prompt is not counted.
    UsageError: a value outside its range, or an empty stop text.
    """

    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    length: Annotated[int, Setting("how much to write", least=0)] = 400
    length_unit: Annotated[
        str, Setting("what --length counts", choices=("tokens", "characters"))
    ] = "tokens"
    stop: tuple[str, ...] = ()
    num_samples: Annotated[int, Setting("samples of each prompt", least=1)] = 1
    seed: Annotated[int, Setting("of every random choice", least=0)] = 1

    def __post_init__(self) -> None:
        read_settings(self, HELP)
        if "" in self.stop:
            raise UsageError(
                "--stop is empty; needed: a text of at least one character",
                "An empty text would end every sample at once; --length 0 does that.",
            )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
