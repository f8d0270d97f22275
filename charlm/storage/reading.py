"""Bytes, JSON and TOML from files that a stranger may have written.

Nothing here allocates on the word of a file: sizes come from the file system, links
and pipes are not followed, and every complaint is a RunError that names the file.
"""

import contextlib
import errno
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from charlm.errors import MachineError, RunError

# Largest JSON or TOML file, and largest safetensors header, that is believed. A tokenizer
# of 100,000 pieces, stored in the header of an exported file, takes about 4 MB.
TEXT_LIMIT = 16 * 1024 * 1024
# Our own files nest five deep.
DEPTH_LIMIT = 32
_SURROGATE = re.compile("[\ud800-\udfff]")

DAMAGED_HINT = "The file is damaged or was changed. Copy the run again, or restore a backup."


def damaged(path: Path, what: str, hint: str = DAMAGED_HINT) -> RunError:
    """The error for a file that is not as it was written: `<path>: <what>`."""
    return RunError(f"{path}: {what}", hint)


def physical_memory() -> int:
    """Bytes of memory in this machine; no file larger than that is read whole."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_start(path: Path, count: int) -> bytes:
    """The first `count` bytes of a regular file, fewer if it is shorter; errors as below."""
    with _opened(path) as (file, _):
        return file.read(count)


def read_regular(path: Path, *, limit: int | None = None, size: int | None = None) -> bytes:
    """All bytes of a regular file of at most `limit` bytes (None: the machine's memory).

    Raises RunError if the file is missing, is a link, a folder or a pipe, exceeds
    `limit`, or has not exactly `size` bytes where that is given; MachineError if the
    disk fails.
    """
    limit = physical_memory() if limit is None else limit
    with _opened(path) as (file, found):
        if size is not None and found != size:
            raise damaged(path, f"has {found} bytes, and {size} were written")
        if found > limit:
            raise damaged(path, f"has {found} bytes, more than the {limit} allowed")
        content = file.read(found)
    if len(content) != found:
        raise damaged(path, "became shorter while it was read")
    return content


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size; every OSError, also while reading, becomes ours."""
    try:
        # O_NONBLOCK: opening a pipe put in the file's place must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise damaged(path, "is not a regular file")
            yield file, status.st_size
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise damaged(path, "is missing") from error
        if error.errno in (errno.ELOOP, errno.EISDIR):
            raise damaged(path, "is a link or a folder, where a file is needed") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            hint = "Ask the owner of the file for permission to read it."
            raise damaged(path, "may not be read by you", hint) from error
        raise MachineError(
            f"could not read {path}: {error.strerror}", "Check the disk, then try again."
        ) from error


def read_text(path: Path) -> str:
    """A UTF-8 file of at most TEXT_LIMIT bytes; RunError as `read_regular`, or if not UTF-8."""
    try:
        return read_regular(path, limit=TEXT_LIMIT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, f"is not UTF-8 at byte {error.start}") from error


def parse_json(raw: bytes, path: Path) -> dict[str, Any]:
    """One JSON object, strictly: no duplicate keys, NaN, infinity or lone surrogates, depth <=
    DEPTH_LIMIT.

    `path` is the file that the message names. Raises RunError.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key occurs twice")
        return found

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is not a JSON number")

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
        _check_values(value)
    except RecursionError as error:
        raise damaged(path, "is nested too deeply") from error
    except ValueError as error:
        # A decoding error quotes the bytes it stumbled over: its position is enough.
        what = str(error) if type(error) is ValueError else "cannot be decoded"
        raise damaged(path, f"is not valid JSON: {what}") from error
    if not isinstance(value, dict):
        raise damaged(path, "holds no JSON object")
    return value


def _check_values(value: Any) -> None:
    """Depth, finiteness (`1e999` is well-formed JSON and reads as infinity), and strings that are
    text (`"\\ud800"` is well-formed too)."""
    level = [value]
    for _ in range(DEPTH_LIMIT):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError("a number is out of range")
            elif isinstance(item, str) and _SURROGATE.search(item):
                raise ValueError("a string holds a lone surrogate, which is not text")
        if not deeper:
            return
        level = deeper
    raise ValueError(f"nested more than {DEPTH_LIMIT} deep")


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """One TOML document; RunError naming `path` if it is malformed or nested too deeply."""
    try:
        return tomllib.loads(text)
    except ValueError as error:  # or a number of more digits than Python reads
        raise damaged(path, f"is not valid TOML: {error}", "Mend the line named above.") from error
    except RecursionError as error:
        raise damaged(path, "is nested too deeply") from error
