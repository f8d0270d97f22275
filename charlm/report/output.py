"""Results on standard output: exact bytes into a pipe, nothing dangerous on a terminal."""

import errno
import io
import os
import re
import shutil
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from charlm.errors import MachineError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Control characters but line break and tab; C1 controls; bidirectional and invisible ones; what no
# XML may hold.
_DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ufffe\uffff]"
)


def visible(text: str) -> str:
    """`text` with every character that could steer a terminal written as an escape."""

    def escape(match: re.Match[str]) -> str:
        code = ord(match[0])
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _DANGEROUS.sub(escape, text)


def one_line(text: str) -> str:
    """`text` with line breaks and tabs written as escapes too, for a column of a table."""
    return visible(text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t"))


class ClosedOutput(Exception):
    """Whoever read standard output has gone: there is nobody left to write for."""


class Output:
    """Standard output as UTF-8, whatever the locale.

    Raises ClosedOutput when the reader has gone, MachineError when the device is full.
    """

    def __init__(self) -> None:
        self.is_terminal = sys.stdout is not None and sys.stdout.isatty()

    def write(self, text: str) -> None:
        """Write and hand over at once."""
        self._send(visible(text) if self.is_terminal else text)

    def _send(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "surrogatepass"))
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError as error:
            raise ClosedOutput from error
        except OSError as error:
            if error.errno == errno.EBADF:
                raise ClosedOutput from error
            raise MachineError(f"standard output cannot be written: {error.strerror}") from error

    def line(self, text: str) -> None:
        self.write(text + "\n")

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(file=io.StringIO(), force_terminal=self.is_terminal, highlight=False)

    @property
    def colours(self) -> bool:
        """Whether there is a terminal with colours, which NO_COLOR and TERM=dumb deny."""
        console = self._console
        return self.is_terminal and console.color_system is not None and not console.no_color

    @property
    def columns(self) -> int:
        """Of the terminal."""
        return shutil.get_terminal_size().columns

    def styled(self, text: "Text") -> None:
        """A line in colours, of a text whose characters are `visible`."""
        with self._console.capture() as shown:
            self._console.print(text, soft_wrap=True)
        self._send(shown.get())

    def json(self, value: Any) -> None:
        """One JSON object on one line."""
        import json

        self.line(json.dumps(value, ensure_ascii=False, allow_nan=False))
