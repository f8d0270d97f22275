"""What a run has reported of its course, and how it ended."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from charlm.runs.directory import RunDirectory
from charlm.runs.metrics import read_metrics
from charlm.storage.reading import damaged, parse_toml


@dataclass(frozen=True)
class History:
    """The records of metrics.jsonl in order, config.toml as it stands, and summary.json (None
    before the end)."""

    path: Path
    records: list[dict[str, Any]]
    config: dict[str, Any]
    summary: dict[str, Any] | None

    @classmethod
    def of(cls, path: str | Path) -> Self:
        """That of the run at `path`. RunError: there is none, or it is damaged."""
        run = RunDirectory.open(path)
        config = parse_toml(run.config_text, run.config_path)
        return cls(run.path, read_metrics(run.metrics_path), config, run.read_summary())

    def series(self, split: str, x: str, y: str) -> tuple[list[float], list[float]]:
        """The values of `y` against those of `x` in the records of `split` that have both."""
        found = [
            (self._number(record[x]), self._number(record[y]))
            for record in self.records
            if record.get("split") == split
            and record.get(x) is not None
            and record.get(y) is not None
        ]
        return [x for x, _ in found], [y for _, y in found]

    def _number(self, value: Any) -> float:
        if type(value) not in (int, float) or abs(value) > 1e300:
            where = self.path / "metrics.jsonl"
            raise damaged(where, "holds something else where a number is wanted")
        return float(value)
