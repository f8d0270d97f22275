"""Where a training run stands: the counters a checkpoint holds, and the evaluations so far.

The evaluations are not in the checkpoint but read back from metrics.jsonl: the last one
comes after the last save, and a checkpoint is never changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
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
    sum_steps: int = 0
    reported_tokens: int = 0
    reported_step_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """RunError where a counter is missing or unknown."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            odd = ", ".join(sorted(names ^ set(values)))
            raise RunError(
                f"{where}: its state has other counters than this version's: {odd}",
                "Resume it with the version of charlm that wrote it.",
            )
        return cls(**values)

    def close_report(self) -> None:
        """What was summed has been reported."""
        self.sum_nats = self.sum_gradient_norm = 0.0
        self.sum_steps = 0
        self.reported_tokens, self.reported_step_seconds = self.tokens, self.step_seconds


@dataclass
class Evaluations:
    """The best evaluation so far, the last one, and how many came since the best."""

    best_nats: float | None = None
    best_step: int = 0
    last_step: int = -1
    last_bits: float | None = None
    since_best: int = 0

    def add(self, step: int, nats: float, bits: float) -> bool:
        """Note one more; True if it is the best."""
        self.last_step, self.last_bits = step, bits
        if self.best_nats is not None and nats >= self.best_nats:
            self.since_best += 1
            return False
        self.best_nats, self.best_step, self.since_best = nats, step, 0
        return True

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> Self:
        """Those in the records of metrics.jsonl."""
        found = cls()
        for record in records:
            if record.get("split") == "valid":
                nats, bits = record.get("nats_per_token"), record.get("bits_per_character")
                if not isinstance(nats, float | int) or not isinstance(bits, float | int):
                    raise RunError(
                        f"metrics.jsonl: the evaluation of step {record['step']} has no figures",
                        "Restore the file from a copy, or remove that line.",
                    )
                found.add(record["step"], nats, bits)
        return found
