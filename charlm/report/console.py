"""What people read while they wait: messages, tables and errors, all on standard error."""

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from charlm.report.output import visible

if TYPE_CHECKING:
    from rich.console import Console


class Messages:
    """Standard error, more or less of it."""

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.is_terminal = (
            sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        )

    def say(self, message: str) -> None:
        """Something a person should know; not with --quiet."""
        if not self.quiet:
            self.write(message)

    def detail(self, message: str) -> None:
        """Only with --verbose."""
        if self.verbose:
            self.write(message)

    def write(self, message: str) -> None:
        """A line, whatever was asked for. A terminal that is gone must not end the work."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(visible(message) + "\n")
            sys.stderr.flush()

    def rich(self) -> "Console":
        """A rich console on standard error; it obeys NO_COLOR and TERM=dumb."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False, emoji=False)

    def table(self, title: str, rows: list[tuple[Any, ...]], headings: tuple[str, ...]) -> None:
        """A table for people; not with --quiet."""
        if self.quiet:
            return
        from rich import box
        from rich.table import Table

        self.say(title)
        table = Table(box=box.SIMPLE, show_header=any(headings))
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*(visible(str(cell)) for cell in row))
        with contextlib.suppress(OSError):
            self.rich().print(table)


def leave_a_lost_terminal() -> None:
    """What could not be shown on a terminal that is gone is not tried again at the exit, where
    that would end with a code of its own."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = None


def error_text(what: str, hint: str) -> str:
    """An error as a few lines: what happened, then what to do."""
    return f"Error: {what}" + (f"\n{hint}" if hint else "")
