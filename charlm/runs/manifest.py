"""Which files belong together in a folder, with the size and SHA-256 of each.

A manifest is written last, so a folder with one is whole; and it is read first, so no
byte of a damaged or exchanged file is parsed. It carries a hash of itself.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charlm import __version__
from charlm.errors import CharlmError, RunError
from charlm.storage.atomic import (
    machine_errors,
    partial_path,
    place_folder,
    remove,
    write_new,
)
from charlm.storage.reading import TEXT_LIMIT, damaged, parse_json, read_regular

MANIFEST = "manifest.json"
FORMAT_VERSION = 1

# No separator, no leading dot: a name can only mean a file in the manifest's own folder.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256(content: bytes) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def is_plain_name(name: str) -> bool:
    """Whether `name` can be a stored file: letters, digits, `._-`, no leading dot or dash."""
    return _PLAIN_NAME.fullmatch(name) is not None


def describe(content: bytes) -> dict[str, Any]:
    """The manifest's entry for a file: `size` in bytes and `sha256`."""
    return {"size": len(content), "sha256": sha256(content)}


def manifest_bytes(kind: str, files: Mapping[str, Mapping[str, Any]], **fields: Any) -> bytes:
    """The content of `manifest.json` for a folder of `kind` ("checkpoint", "tokenizer").

    `files`: name -> `describe(content)`; `fields`: what else the reader must know.
    The form is canonical (sorted keys), and the key `sha256` is the hash of that form
    without that key: so no bit of it can change unseen.
    """
    content = {
        "format": f"charlm-{kind}",
        "format_version": FORMAT_VERSION,
        "charlm_version": __version__,
        "files": {name: dict(entry) for name, entry in files.items()},
        **fields,
    }
    return _canonical(content | {"sha256": sha256(_canonical(content))})


def _canonical(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def write_folder(folder: Path, kind: str, files: Mapping[str, bytes], mode: int = 0o777) -> None:
    """Stores files with their hashes in place of what `folder` was, all or none of them.

    `files`: plain name -> content. Raises MachineError.
    """
    assert all(is_plain_name(name) and name != MANIFEST for name in files), sorted(files)
    entries = {name: describe(content) for name, content in files.items()}
    temporary = partial_path(folder)
    with machine_errors(folder, "write"):
        remove(temporary)
        try:
            os.mkdir(temporary, mode)
            for name, content in files.items():
                write_new(temporary / name, content)
            write_new(temporary / MANIFEST, manifest_bytes(kind, entries))
            remove(folder)
            place_folder(temporary, folder)
        finally:
            with contextlib.suppress(OSError):
                remove(temporary)


def check_format(found: Mapping[str, Any], kind: str, path: Path) -> None:
    """Raises RunError unless `found` is of format `charlm-<kind>` in a version we read.

    A newer version is told from damage, and the charlm that is needed is named.
    """
    if found.get("format") != f"charlm-{kind}":
        raise damaged(path, f"is not the {kind} of a charlm run")
    version = found.get("format_version")
    if type(version) is not int or version < 1:
        raise damaged(path, "has no format version")
    if version > FORMAT_VERSION:
        writer = str(found.get("charlm_version"))
        needed = f"charlm {writer}" if _VERSION.fullmatch(writer) else "a newer charlm"
        raise RunError(
            f"{path}: was written by {needed} in format {version}; "
            f"this is charlm {__version__}, which reads formats up to {FORMAT_VERSION}",
            f"Install {needed} or newer.",
        )


def read_manifest(folder: Path, kind: str) -> dict[str, Any]:
    """The manifest of `folder`, itself verified, the files not yet.

    Raises RunError if it is missing, damaged, of another kind or of a newer version.
    """
    path = folder / MANIFEST
    raw = read_regular(path, limit=TEXT_LIMIT)
    found = parse_json(raw, path)
    check_format(found, kind, path)
    content = {key: value for key, value in found.items() if key != "sha256"}
    if found.get("sha256") != sha256(_canonical(content)) or raw != _canonical(found):
        raise damaged(path, "does not match its own SHA-256")
    files = found.get("files")
    if not isinstance(files, dict):
        raise damaged(path, "lists no files")
    for name, entry in files.items():
        if not is_plain_name(name) or name == MANIFEST:
            raise damaged(path, f"lists {name[:60]!r}, which is no plain file name")
        if not (
            isinstance(entry, dict)
            and entry.keys() == {"size", "sha256"}
            and type(entry["size"]) is int
            and isinstance(entry["sha256"], str)
            and _SHA256.fullmatch(entry["sha256"])
        ):
            raise damaged(path, f"has no size and SHA-256 for {name}")
    return found


def written_by(folder: Path) -> str | None:
    """The version of charlm that wrote the manifest of `folder`; None where it does not say."""
    path = folder / MANIFEST
    try:
        version = parse_json(read_regular(path, limit=TEXT_LIMIT), path).get("charlm_version")
    except CharlmError:
        return None
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else None


def read_files(
    folder: Path, manifest: Mapping[str, Any], wanted: Iterable[str] | None = None
) -> dict[str, bytes]:
    """The bytes of the files that `manifest` lists, every one of them verified.

    `wanted`: hand out only these (None: all); the others are verified and dropped.
    Raises RunError naming the file if one is missing, extra, or differs.
    """
    files: dict[str, dict[str, Any]] = manifest["files"]
    try:
        present = set(os.listdir(folder))
    except OSError as error:
        raise damaged(folder, "cannot be listed") from error
    for name in sorted(present - files.keys() - {MANIFEST}):
        raise damaged(folder / name, "does not belong there: the manifest does not list it")
    keep = files.keys() if wanted is None else set(wanted)
    for name in sorted(keep - files.keys()):
        raise damaged(folder / name, "is missing: the manifest does not list it")
    contents: dict[str, bytes] = {}
    for name, entry in files.items():
        content = read_regular(folder / name, size=entry["size"])
        if sha256(content) != entry["sha256"]:
            raise damaged(folder / name, "does not match the SHA-256 in its manifest")
        if name in keep:
            contents[name] = content
    return contents
