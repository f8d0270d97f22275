"""`metrics.jsonl`: one JSON object a line, one line a report. Losing it loses no training."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from charlm.errors import RunError
from charlm.storage.atomic import write_atomically
from charlm.storage.reading import damaged, parse_json, read_regular


class MetricsLog:
    """Appends to the file at `path`; `warn(message)` is called for the first failure only."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn = warn
        self._warned = False

    def append(self, record: Mapping[str, Any]) -> bool:
        """Writes one line; False if the disk or a value (NaN, an array) prevents it.

        Never raises for either, so that training goes on; leaves no half line behind.
        """
        try:
            line = (json.dumps(record, allow_nan=False) + "\n").encode()
            self._write(line)
        except (OSError, TypeError, ValueError) as error:
            if not self._warned:
                self._warned = True
                reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
                self._warn(f"could not write to {self.path}: {reason}; training goes on without")
            return False
        return True

    def _write(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def truncate_after(path: Path, step: int) -> None:
    """Keeps the whole lines whose `step` is at most `step`: what a resumed run will not repeat.

    A half line at the end, left by a kill, goes too. A missing file is left missing.
    Raises RunError naming a damaged line, MachineError if the disk fails.
    """
    if not os.path.lexists(path):
        return
    raw = read_regular(path)
    kept = b"".join(line for line, record in _records(raw, path) if record["step"] <= step)
    if kept != raw:
        write_atomically(path, kept)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of all whole lines, in order; none if there is no file. RunError."""
    if not os.path.lexists(path):
        return []
    return [record for _, record in _records(read_regular(path), path)]


def damaged_lines(path: Path) -> list[int]:
    """The numbers, from 1, of the lines that are no records; none where there is no file."""
    found = []
    for number, line in _lines(read_regular(path) if os.path.lexists(path) else b""):
        try:
            _record(number, line, path)
        except RunError:
            found.append(number)
    return found


def _records(raw: bytes, path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    return [(line + b"\n", _record(number, line, path)) for number, line in _lines(raw)]


def _lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole lines with their numbers: what follows the last line end is a half one."""
    return enumerate(raw.split(b"\n")[:-1], start=1)


def _record(number: int, line: bytes, path: Path) -> dict[str, Any]:
    try:
        record = parse_json(line, path)
    except RunError as error:
        raise RunError(f"line {number} of {error.what}", error.hint) from error
    if type(record.get("step")) is not int:
        raise damaged(path, f"line {number} has no step")
    return record
