"""The two files of a part of the token cache, written and opened.

<part>.ids         the token ids, raw, little-endian, in the tokenizer's dtype
<part>.documents   int64, little-endian: where each document's first token is
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from charlm.errors import RunError
from charlm.text.counts import TextCounts

_OFFSET = np.dtype("<i8")
_BLOCK = 1 << 20  # bytes: whole ids, whatever their width


class PartEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says of a part; `span` are its characters in the text of `role`."""

    role: str
    span: tuple[int, int]
    tokens: int
    documents: int
    counts: TextCounts
    ids_sha256: str
    documents_sha256: str


@dataclass(frozen=True)
class Part:
    """The tokens of train, valid or test."""

    ids: npt.NDArray[Any]  # (N,) read-only, mapped
    documents: npt.NDArray[np.int64]  # (D,) first token of each document that has one; rising
    counts: TextCounts
    source_bits: float | None = None  # of all its text, where they are known

    def frequencies(self, vocabulary_size: int) -> npt.NDArray[np.int64]:
        """(V,) how often each token is there."""
        found = np.zeros(vocabulary_size, np.int64)
        for begin in range(0, len(self.ids), _BLOCK):
            found += np.bincount(self.ids[begin : begin + _BLOCK], minlength=vocabulary_size)
        return found


def ids_path(folder: Path, part: str) -> Path:
    """Where the ids of `part` are."""
    return folder / f"{part}.ids"


def documents_path(folder: Path, part: str) -> Path:
    """Where the document offsets of `part` are."""
    return folder / f"{part}.documents"


def damaged(path: Path, reason: str) -> RunError:
    """The error for a file of the cache that is not what the manifest says."""
    return RunError(
        f"The token cache is damaged: {path}: {reason}.",
        "Delete its folder and make it again from the text.",
    )


def open_part(
    folder: Path,
    part: str,
    entry: PartEntry,
    dtype: np.dtype[Any],
    source_bits: float | None,
) -> Part:
    """Map the files of `part`; RunError where they are missing or their sizes are wrong."""
    ids, documents = ids_path(folder, part), documents_path(folder, part)
    _check_size(ids, entry.tokens, dtype.itemsize)
    _check_size(documents, entry.documents, _OFFSET.itemsize)
    offsets = np.fromfile(documents, _OFFSET).astype(np.int64)
    if offsets[0] != 0 or np.any(offsets[1:] <= offsets[:-1]) or offsets[-1] >= entry.tokens:
        raise damaged(documents, f"offsets must rise from 0 and stay below {entry.tokens}")
    return Part(np.memmap(ids, dtype, "r"), offsets, entry.counts, source_bits)


def _check_size(path: Path, items: int, width: int) -> None:
    try:
        found = path.lstat()
    except OSError as problem:
        raise damaged(path, problem.strerror or str(problem)) from problem
    if not stat.S_ISREG(found.st_mode):
        raise damaged(path, "it is not a plain file")
    if items < 1 or found.st_size != items * width:
        raise damaged(path, f"{found.st_size} bytes, where {items} items of {width} were written")


def verify_part(folder: Path, part: str, entry: PartEntry, dtype: np.dtype[Any]) -> int:
    """The largest id; RunError where the SHA-256 of a file is not the entry's.

    Read once, in blocks: through the map all of a large text would stay in memory.
    """
    largest = 0
    for path, expected in (
        (documents_path(folder, part), entry.documents_sha256),
        (ids_path(folder, part), entry.ids_sha256),
    ):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                if path == ids_path(folder, part):
                    largest = max(largest, int(np.frombuffer(block, dtype).max()))
        found = digest.hexdigest()
        if found != expected:
            raise damaged(path, f"its SHA-256 is {found[:12]}..., not {expected[:12]}...")
    return largest


class PartWriter:
    """Writes the ids of one part and the offsets of its documents, then says what it wrote."""

    def __init__(self, folder: Path, part: str) -> None:
        self._documents_path = documents_path(folder, part)
        self._file = _create(ids_path(folder, part))
        self._digest = hashlib.sha256()
        self.tokens = 0
        self._offsets: list[int] = []
        self._new_document = True

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *problem: object) -> None:
        self._file.close()

    def add(self, ids: npt.NDArray[Any]) -> None:
        """Tokens of the current document, after those it has."""
        if not len(ids):
            return
        if self._new_document:
            self._offsets.append(self.tokens)
            self._new_document = False
        data = ids.astype(ids.dtype.newbyteorder("<"), copy=False).tobytes()
        self._file.write(data)
        self._digest.update(data)
        self.tokens += len(ids)

    def end_document(self) -> None:
        """What comes next is another document."""
        self._new_document = True

    def finish(self, role: str, span: tuple[int, int], counts: TextCounts) -> PartEntry:
        """Put everything on the disk; the part's entry in the manifest."""
        offsets = np.array(self._offsets, _OFFSET).tobytes()
        _to_disk(self._file)
        with _create(self._documents_path) as file:
            file.write(offsets)
            _to_disk(file)
        return PartEntry(
            role=role,
            span=span,
            tokens=self.tokens,
            documents=len(self._offsets),
            counts=counts,
            ids_sha256=self._digest.hexdigest(),
            documents_sha256=hashlib.sha256(offsets).hexdigest(),
        )


def _create(path: Path) -> BinaryIO:
    # O_EXCL: never through a link that someone else has put there.
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
