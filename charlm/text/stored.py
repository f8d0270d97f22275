"""Small JSON objects and files that come back from disk: strictly read, atomically written.

What is read may come from a stranger or from a damaged disk, so a repeated key, an unknown
field, a NaN, a wrong type and a number outside its range are all refused.
"""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from charlm.errors import RunError

T = TypeVar("T")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def read_object(data: bytes, shape: type[T], name: str, newest_format: int = 1) -> T:
    """The JSON object in `data` as a `shape`, whose `format` is at most `newest_format`.

    RunError, naming the file `name`: not JSON, not of that shape, or of a newer format.
    """
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
        )
        written = found.get("format") if isinstance(found, dict) else None
        if isinstance(written, int) and written > newest_format:
            raise RunError(
                f"{name} has format {written}; this charlm reads formats up to {newest_format}.",
                f"Use a charlm that reads format {written}, as the one that wrote it does.",
            )
        return msgspec.convert(found, shape)
    except (ValueError, RecursionError, msgspec.ValidationError) as problem:
        reason = "nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise RunError(
            f"{name} is damaged: {reason}.", "Restore the run from a copy, or train again."
        ) from problem


def json_bytes(content: object) -> bytes:
    """UTF-8 JSON with a line break at the end, for files that people may open."""
    return json.dumps(msgspec.to_builtins(content), ensure_ascii=False, indent=1).encode() + b"\n"


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` (mode 0600), whole or not at all, also if the power goes."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
