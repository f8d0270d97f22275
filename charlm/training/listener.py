"""What training tells while it runs. The loop prints nothing: whoever listens may."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Report:
    """Means over the steps since the last report."""

    step: int
    tokens: int
    seconds: float
    nats: float
    lr: float
    gradient_norm: float
    tokens_per_second: float
    epoch: float
    progress: float
    clipped_share: float | None = None  # of the steps; None where nothing is clipped
    saturated_share: float | None = None  # of the gates, now
    gradient_carried: float | None = None  # of the last loss's gradient, back over a window
    unit: str = "token"

    def record(self) -> dict[str, Any]:
        """Its line of metrics.jsonl."""
        values = _shown(self, ("epoch", "progress", "unit"))
        return {"split": "train"} | {k: value for k, value in values.items() if value is not None}


@dataclass(frozen=True)
class Evaluation:
    """The validation figure after `step`, and the best one so far."""

    step: int
    tokens: int
    seconds: float
    nats: float
    bits_per_character: float | None  # None where unknown words have no characters
    previous: float | None  # nats at the evaluation before
    best_step: int
    unit: str = "token"
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_best(self) -> bool:
        return self.best_step == self.step

    def record(self) -> dict[str, Any]:
        """Its line of metrics.jsonl."""
        left_out = ["previous", "best_step", "unit", "more"]
        if self.unit == "text":
            left_out.append("bits_per_character")
        return {"split": "valid", **_shown(self, left_out), **self.more}


def _shown(told: "Report | Evaluation", left_out: Collection[str]) -> dict[str, Any]:
    """Its values by name; nats as of what they are."""
    names = {"nats": f"nats_per_{told.unit}"}
    values = {name: value for name, value in asdict(told).items() if name not in left_out}
    return {names.get(name, name): value for name, value in values.items()}


class Listener:
    """Hears everything and does nothing; override what is of interest."""

    def say(self, message: str) -> None:
        """Something a person should know."""

    def reading(self, characters: int) -> None:
        """So many more characters have been tokenized."""

    def chosen(self, key: str, value: object, reason: str) -> None:
        """A setting left to `auto` has become `value`."""

    def begin(self, step: int, last_step: int | None, seconds: float | None) -> None:
        """Training starts after `step`; it ends by `last_step` or after `seconds` in all.

        A second time, after `end`, where it diverged and goes on from an earlier step.
        """

    def step(self, step: int, progress: float, nats: float, gradient_norm: float) -> None:
        """One step is done."""

    def report(self, report: Report) -> None: ...

    def evaluating(self, step: int) -> None: ...

    def evaluated(self, evaluation: Evaluation) -> None: ...

    def sample(self, step: int, text: str) -> None: ...

    def end(self) -> None:
        """Training is over, however it ended."""


class Listeners(Listener):
    """Several listeners, each of which hears everything."""

    def __init__(self, *listeners: Listener) -> None:
        def tell_all(name: str) -> Callable[..., None]:
            def tell(*words: Any) -> None:
                for listener in listeners:
                    getattr(listener, name)(*words)

            return tell

        for name in vars(Listener):
            if not name.startswith("_"):
                setattr(self, name, tell_all(name))
