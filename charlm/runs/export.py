"""One file with what is needed to generate, score and classify, and nothing else.

A safetensors file: the weights; and in its metadata the configuration of the model, the
tokenizer's files, and a hash over the whole file. Nothing of the text, the optimiser or
the place it came from; files that were asked to go along are tensors of bytes.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from charlm import __version__
from charlm.errors import RunError, UsageError
from charlm.runs.checkpoint import load
from charlm.runs.directory import RunDirectory
from charlm.runs.manifest import FORMAT_VERSION, check_format, is_plain_name, sha256
from charlm.runs.tensors import Tensors, decode, encode, read_header
from charlm.storage.atomic import write_atomically
from charlm.storage.places import require_file_place
from charlm.storage.reading import (
    TEXT_LIMIT,
    damaged,
    parse_json,
    parse_toml,
    read_regular,
    read_start,
)

_HASH = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NO_HASH = b"0" * 64
_ALONG = "along/"
_PICKLE_SUFFIXES = {".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt"}


@dataclass(frozen=True)
class StoredModel:
    """A model as it is stored, of a run (`kind` "run") or of an exported file ("file").

    `config`: of a run the parsed config.toml, of a file what was given to `export_run`.
    `state`: of a run the checkpoint's, of a file empty. `along`: of a file what went along.
    """

    kind: Literal["run", "file"]
    config: dict[str, Any]
    tokenizer_files: dict[str, bytes]
    weights: Tensors
    step: int
    path: Path
    state: dict[str, Any]
    along: dict[str, bytes] = field(default_factory=dict)


def read_model(path: str | Path, which: str | int = "best-else-last") -> StoredModel:
    """The model in a run directory (its checkpoint `which`) or in an exported file.

    Raises RunError if there is none, if it is damaged or newer than this charlm, or if
    the file is of another kind; a pickle is refused unread, for loading one runs its code.
    """
    path = Path(path)
    if os.path.isfile(path):
        return _read_export(path)
    run = RunDirectory.open(path)
    config = parse_toml(run.config_text, run.config_path)
    tokenizer_files = run.read_tokenizer()
    found = load(run, which, groups=("weights",))
    return StoredModel(
        "run", config, tokenizer_files, found.groups["weights"], found.step, path, found.state
    )


def export_run(
    run: RunDirectory | str | Path,
    out_file: str | Path,
    config: Mapping[str, Any],
    which: str | int = "best-else-last",
    along: Mapping[str, bytes] | None = None,
) -> None:
    """Writes checkpoint `which` of a run to one file, in place of what it held.

    `config`: what the reader needs to build model and tokenizer, as JSON allows it; the
    caller keeps paths and the corpus out of it. `along`: files by plain names that go with it.
    The same run gives the same bytes.
    Raises RunError if the run is damaged, UsageError if `out_file` cannot be a file,
    MachineError if the disk fails.
    """
    if not isinstance(run, RunDirectory):
        run = RunDirectory.open(run)
    # Through links, and never over a device: what is replaced is a regular file or nothing.
    target = require_file_place(out_file)
    found = load(run, which, groups=("weights",))
    tokenizer = {
        name: base64.b64encode(content).decode() for name, content in run.read_tokenizer().items()
    }
    metadata = {
        "charlm_version": __version__,
        "config": json.dumps(config, sort_keys=True, allow_nan=False),
        "format": "charlm-model",
        "format_version": str(FORMAT_VERSION),
        "sha256": _NO_HASH.decode(),
        "step": str(found.step),
        "tokenizer": json.dumps(tokenizer, sort_keys=True),
    }
    files = {
        _ALONG + name: np.frombuffer(content, np.uint8) for name, content in (along or {}).items()
    }
    raw = _with_metadata(encode(found.groups["weights"] | files), metadata)
    at = _HASH.search(raw)
    assert at is not None
    write_atomically(target, [raw[: at.start(1)], sha256(raw).encode(), raw[at.end(1) :]])


def _with_metadata(raw: bytes, metadata: Mapping[str, str]) -> bytes:
    """Adds metadata to safetensors bytes that have none; the library would shuffle the keys."""
    length = int.from_bytes(raw[:8], "little")
    added = json.dumps({"__metadata__": metadata}, separators=(",", ":")).encode()
    rest = raw[9 : 8 + length]
    header = added[:-1] + (b"" if rest.startswith(b"}") else b",") + rest.rstrip(b" ")
    header += b" " * (-len(header) % 8)  # the data stay aligned to 8 bytes
    if len(header) > TEXT_LIMIT:
        raise UsageError(
            f"the tokenizer needs {len(header)} bytes, and an exported file holds {TEXT_LIMIT}",
            "Train with a smaller vocabulary.",
        )
    return len(header).to_bytes(8, "little") + header + raw[8 + length :]


def _read_export(path: Path) -> StoredModel:
    # The user may name the file by a link; from here on it is one regular file.
    file = Path(os.path.realpath(path))
    _refuse_other_kinds(file, read_start(file, 9))
    raw = read_regular(file)
    metadata, begin_of_data = read_header(raw, path)
    version = metadata.get("format_version", "")
    number = int(version) if re.fullmatch(r"[1-9][0-9]{0,8}", version) else None
    check_format({**metadata, "format_version": number}, "model", path)
    hashes = list(_HASH.finditer(raw, 8, begin_of_data))
    if len(hashes) != 1:
        raise damaged(path, "has no SHA-256")
    at = hashes[0]
    if sha256(raw[: at.start(1)] + _NO_HASH + raw[at.end(1) :]) != at[1].decode():
        raise damaged(path, "does not match its own SHA-256")
    try:
        tokenizer = parse_json(metadata["tokenizer"].encode(), path)
        files = {
            name: base64.b64decode(content, validate=True) for name, content in tokenizer.items()
        }
        config = parse_json(metadata["config"].encode(), path)
        step = int(metadata["step"])
    except (KeyError, ValueError, TypeError, binascii.Error) as error:
        raise damaged(path, "has no configuration, tokenizer and step") from error
    if not all(is_plain_name(name) for name in files):
        raise damaged(path, "has a tokenizer file with no plain name")
    tensors = decode(raw, path)
    along = {
        name.removeprefix(_ALONG): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(_ALONG)
    }
    if not all(
        is_plain_name(name) and content.dtype == np.uint8 for name, content in along.items()
    ):
        raise damaged(path, "has a file with no plain name, or not of bytes")
    contents = {name: content.tobytes() for name, content in along.items()}
    return StoredModel("file", config, files, tensors, step, path, {}, contents)


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    """RunError unless the file begins as safetensors do; `start`: its first nine bytes."""
    if start[8:] == b"{":
        return
    hint = "Give a run directory, or a file that `charlm export` made."
    # Zip archives (torch.save) begin with PK, pickles of protocol 2 and later with 0x80.
    archive = start.startswith((b"PK", b"\x80")) or path.suffix.lower() in _PICKLE_SUFFIXES
    if archive:
        raise RunError(
            f"{path} is a pickle or an archive: it was not loaded, for that runs the code in it",
            hint,
        )
    raise RunError(f"{path} is not a charlm model", hint)
