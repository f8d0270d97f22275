"""The errors a person can meet, and the exit code each one carries.

    CharlmError                1   our bug, or the machine's (disk, memory)
    ├── MachineError           1   disk full, out of memory, a device that refuses
    ├── UsageError             2   the command line or the configuration
    ├── DataError              3   the text or the labelled data
    ├── RunError               4   a run or model file: missing, damaged, too new
    ├── DivergedError          5   training diverged
    └── Interrupted    130   a signal, after saving (143 for SIGTERM)

Every message has two parts: `what` happened, with the values and what was
needed, and `hint`, what to do next. Neither holds a piece of the person's text
beyond the offending few characters.
"""


class CharlmError(Exception):
    """What happened (`what`), and what to do next (`hint`)."""

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what


class MachineError(CharlmError):
    """The machine could not do it: disk full, out of memory, a device that refuses."""

    exit_code = 1


class UsageError(CharlmError):
    """The command line or the configuration asks for what cannot be done."""

    exit_code = 2


class DataError(CharlmError):
    """The text or the labelled data cannot be read or is too little."""

    exit_code = 3


class RunError(CharlmError):
    """A run directory or model file is missing, damaged or written by a newer version."""

    exit_code = 4


class DivergedError(CharlmError):
    """The loss or a gradient became infinite or not a number."""

    exit_code = 5


class Interrupted(CharlmError):
    """A signal ended the work, after saving what there was to save."""

    def __init__(self, signal_number: int, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.exit_code = 128 + signal_number


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused: by Python, or by torch, which has no class of its own for it."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "allocate" in str(error)
    )
