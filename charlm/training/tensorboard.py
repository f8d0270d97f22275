"""Reports and evaluations as TensorBoard's event files: the extra `charlm[tensorboard]`."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from charlm.errors import UsageError
from charlm.training.listener import Evaluation, Listener, Report


def require() -> None:
    """UsageError where the package is not installed."""
    if find_spec("tensorboard") is None:
        raise UsageError(
            "--tensorboard needs the package tensorboard, which is not installed here",
            "Install it with: pip install tensorboard",
        )


class TensorBoard(Listener):
    """Scalars into `folder`; `warn(message)` is called where the disk refuses, and then no more
    is written.

    What an earlier process wrote of later steps is marked as void when training begins, so that
    no step is shown twice.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        require()
        self.folder, self.warn = folder, warn
        self._writer: Any = None

    def begin(self, step: int, last_step: int | None, seconds: float | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        try:
            self._writer = SummaryWriter(str(self.folder), purge_step=step + 1)
        except OSError as error:
            self._give_up(error)

    def report(self, report: Report) -> None:
        self._write(report.record())

    def evaluated(self, evaluation: Evaluation) -> None:
        self._write(evaluation.record())

    def end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, record: dict[str, Any]) -> None:
        if self._writer is None:
            return
        try:
            for name, value in record.items():
                if name not in ("split", "step", "tokens", "seconds") and value is not None:
                    self._writer.add_scalar(f"{record['split']}/{name}", value, record["step"])
            self._writer.flush()  # or a killed process would take minutes of it along
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        self.warn(f"could not write to {self.folder}: {error}; training goes on without")
