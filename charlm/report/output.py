"""Results on standard output: exact bytes into a pipe, nothing dangerous on a terminal."""

import errno
import os
import re
import sys
from typing import Any

from charlm.errors import MachineError

# Control characters but line break and tab; C1 controls; bidirectional and invisible ones.
_DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
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
        if self.is_terminal:
            text = visible(text)
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

    def json(self, value: Any) -> None:
        """One JSON object on one line."""
        import json

        self.line(json.dumps(value, ensure_ascii=False, allow_nan=False))
