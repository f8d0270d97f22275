"""JSON objects of known shape that come back from disk: strictly read.

What is read may come from a stranger or from a damaged disk, so an unknown field, a wrong
type and a number outside its range are refused, beside what `storage.reading` refuses.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from charlm.errors import RunError
from charlm.storage.reading import damaged, parse_json

T = TypeVar("T")


def read_object(data: bytes, shape: type[T], name: str, newest_format: int = 1) -> T:
    """The JSON object in `data` as a `shape`, whose `format` is at most `newest_format`.

    RunError, naming the file `name`: not JSON, not of that shape, or of a newer format.
    """
    path = Path(name)
    found = parse_json(data, path)
    written = found.get("format")
    if isinstance(written, int) and written > newest_format:
        raise RunError(
            f"{name} has format {written}; this charlm reads formats up to {newest_format}.",
            f"Use a charlm that reads format {written}, as the one that wrote it does.",
        )
    try:
        return msgspec.convert(found, shape)
    except (ValueError, msgspec.ValidationError) as problem:
        raise damaged(path, f"is damaged: {problem}") from problem


def sealed(content: object) -> bytes:
    """An object with a field `sha256` as `json_bytes`, that field being the hash of all others."""
    return json_bytes(msgspec.to_builtins(content) | {"sha256": _hash_of(content)})


def read_sealed(data: bytes, shape: type[T], name: str) -> T:
    """What `sealed` made, as `read_object`; RunError where it is not that any more."""
    found = read_object(data, shape, name)
    # "": of a version that had no such field.
    if getattr(found, "sha256") not in ("", _hash_of(found)):  # noqa: B009 (T has any fields)
        raise damaged(Path(name), "does not match its own SHA-256")
    return found


def _hash_of(content: object) -> str:
    others = {key: value for key, value in msgspec.to_builtins(content).items() if key != "sha256"}
    return hashlib.sha256(json_bytes(others)).hexdigest()


def json_bytes(content: object) -> bytes:
    """UTF-8 JSON with a line break at the end, for files that people may open."""
    return json.dumps(msgspec.to_builtins(content), ensure_ascii=False, indent=1).encode() + b"\n"


def files_sha256(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each file by its name, as a manifest keeps them."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
