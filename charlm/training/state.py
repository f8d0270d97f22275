"""Where a training run stands: the counters a checkpoint holds, and the evaluations so far.

The evaluations are not in the checkpoint but read back from metrics.jsonl: the last one
comes after the last save, and a checkpoint is never changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from charlm.errors import RunError


@dataclass
class TrainingState:
    """Counters after `step` updates. The sums run since the last report."""

    step: int = 0
    tokens: int = 0
    epoch: float = 0.0
    seconds: float = 0.0
    step_seconds: float = 0.0  # in steps alone, without evaluating and saving
    sum_nats: float = 0.0
    sum_gradient_norm: float = 0.0
    sum_clipped: float = 0.0  # of the steps, those whose gradient was cut
    sum_steps: float = 0  # a window of half the length counts as half a step
    reported_tokens: int = 0
    reported_step_seconds: float = 0.0
    lr: float = 0.0  # of the last step
    settled: int = 0  # the step after which `Loop.settle` was called last
    lr_factor: float = 1.0  # below 1: training diverged, and this is the second try

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Counters that an older version did not know take their defaults.

        RunError where one is unknown.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise RunError(
                f"{where}: its state has counters that this version does not know: "
                + ", ".join(sorted(unknown)),
                "Resume it with the version of charlm that wrote it.",
            )
        return cls(**values)

    def close_report(self) -> None:
        """What was summed has been reported."""
        self.sum_nats = self.sum_gradient_norm = self.sum_clipped = self.sum_steps = 0.0
        self.reported_tokens, self.reported_step_seconds = self.tokens, self.step_seconds


@dataclass
class Evaluations:
    """The evaluations so far, in order: their steps, nats and bits per character.

    What depends on them (the best, patience, a plateau, the start of averaging) is computed from
    them and kept nowhere else, so that a resumed run finds what it would have found.
    """

    steps: list[int] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)
    bits: list[float | None] = field(default_factory=list)

    def add(self, step: int, nats: float, bits: float | None) -> None:
        """Note one more, which must be finite."""
        self.steps.append(step)
        self.nats.append(nats)
        self.bits.append(bits)

    @property
    def last_step(self) -> int:
        """The step of the last one; -1 without any."""
        return self.steps[-1] if self.steps else -1

    @property
    def best_step(self) -> int:
        """The step of the best one, the first of equals; 0 without any."""
        return self.steps[self.nats.index(min(self.nats))] if self.steps else 0

    @property
    def since_best(self) -> int:
        """How many came after the best one."""
        return len(self.nats) - 1 - self.nats.index(min(self.nats)) if self.nats else 0

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> Self:
        """Those in the records of metrics.jsonl."""
        found = cls()
        for record in records:
            if record.get("split") == "valid":
                nats = record.get("nats_per_token", record.get("nats_per_text"))
                bits = record.get("bits_per_character")
                if not isinstance(nats, float | int) or not isinstance(bits, float | int | None):
                    raise RunError(
                        f"metrics.jsonl: the evaluation of step {record['step']} has no figures",
                        "Restore the file from a copy, or remove that line.",
                    )
                found.add(record["step"], nats, bits)
        return found
