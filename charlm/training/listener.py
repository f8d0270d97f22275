"""What training tells while it runs. The loop prints nothing: whoever listens may."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Means over the steps since the last report; also a line of metrics.jsonl."""

    step: int
    tokens: int
    seconds: float
    nats_per_token: float
    lr: float
    gradient_norm: float
    tokens_per_second: float
    epoch: float
    progress: float


@dataclass(frozen=True)
class Evaluation:
    """The validation figure after `step`, and the best one so far."""

    step: int
    seconds: float
    nats_per_token: float
    bits_per_character: float
    previous: float | None  # bits per character at the evaluation before
    best_step: int

    @property
    def is_best(self) -> bool:
        return self.best_step == self.step


class Listener:
    """Hears everything and does nothing; override what is of interest."""

    def say(self, message: str) -> None:
        """Something a person should know."""

    def reading(self, characters: int) -> None:
        """So many more characters have been tokenized."""

    def chosen(self, key: str, value: object, reason: str) -> None:
        """A setting left to `auto` has become `value`."""

    def begin(self, step: int, last_step: int | None, seconds: float | None) -> None:
        """Training starts after `step`; it ends by `last_step` or after `seconds` in all."""

    def step(self, step: int, progress: float, nats: float, gradient_norm: float) -> None:
        """One step is done."""

    def report(self, report: Report) -> None: ...

    def evaluating(self, step: int) -> None: ...

    def evaluated(self, evaluation: Evaluation) -> None: ...

    def sample(self, step: int, text: str) -> None: ...

    def end(self) -> None:
        """Training is over, however it ended."""
