"""The ids of a corpus on disk, memory-mapped: a text larger than memory trains in flat memory.

A folder holds the files of each part (part_files.py) and `manifest.json`, which is written
last and whole: without it there is no cache.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy.typing as npt

from charlm.errors import DataError, MachineError, RunError
from charlm.storage.atomic import write_atomically
from charlm.storage.reading import read_regular
from charlm.text.canaries import Canaries
from charlm.text.corpus import (
    BLOCK_CHARACTERS,
    Corpus,
    Document,
    Reading,
    Sources,
    bits_kept,
    fingerprint,
    open_corpus,
)
from charlm.text.counts import TextCounter
from charlm.text.decoding import Say
from charlm.text.direction import BACKWARD, FORWARD, from_the_end
from charlm.text.part_files import (
    Part,
    PartEntry,
    PartWriter,
    damaged,
    documents_path,
    ids_path,
    open_part,
    verify_part,
)
from charlm.text.splits import PARTS, exact_fractions
from charlm.text.stored import files_sha256, read_sealed, sealed
from charlm.text.tokenizers.base import (
    Tokenizer,
    TokenizerSettings,
    smallest_dtype,
    tokenizer_for,
)

MANIFEST = "manifest.json"
_MOST_BYTES = 1 << 28  # of it: a line for each of its sources

Progress = Callable[[int], None]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is known of the cached text but its tokens."""

    format: Literal[1] = 1
    corpus_sha256: str  # as `corpus_fingerprint` gives it
    sources: list[Document]
    tokenizer_sha256: dict[str, str]  # file name under tokenizer/ to its SHA-256
    vocabulary_size: int
    dtype: str
    direction: Literal["forward", "backward"] = FORWARD  # backward: see text/direction.py
    parts: dict[str, PartEntry]
    sha256: str = ""  # of all the others

    def source_bits(self, part: str) -> float | None:
        """The bits of the text of `part`, where it is whole documents whose bits are known."""
        entry = self.parts[part]
        documents = [document for document in self.sources if document.role == entry.role]
        whole = (0, sum(document.characters for document in documents))
        bits = [document.source_bits for document in documents]
        known = [each for each in bits if each is not None]
        return sum(known) if entry.span == whole and len(known) == len(bits) else None


class TokenCache:
    """The parts that a text was split into, with what the manifest knows of them."""

    def __init__(self, folder: Path, manifest: Manifest, parts: dict[str, Part]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.parts = parts

    @classmethod
    def open(cls, folder: Path) -> "TokenCache":
        """Map the cache in `folder`, checking sizes but not every byte.

        RunError: no cache there, or its files do not fit its manifest.
        """
        path = folder / MANIFEST
        if not os.path.lexists(path):
            raise RunError(
                f"{folder} holds no token cache: {MANIFEST} is not there.",
                "Name the text itself, or make the cache again.",
            )
        manifest = read_sealed(read_regular(path, limit=_MOST_BYTES), Manifest, str(path))
        dtype = smallest_dtype(manifest.vocabulary_size)
        if dtype.name != manifest.dtype:
            raise damaged(path, f"dtype {manifest.dtype} for {manifest.vocabulary_size} ids")
        if not set(manifest.parts) <= set(PARTS):
            raise damaged(path, f"a part that is none of {', '.join(PARTS)}")
        parts = {
            part: open_part(folder, part, entry, dtype, manifest.source_bits(part))
            for part, entry in manifest.parts.items()
        }
        return cls(folder, manifest, parts)

    def verify(
        self, direction: str | None = None, tokenizer_files: Mapping[str, bytes] | None = None
    ) -> None:
        """RunError where a file's SHA-256 is not the manifest's or a token is no id, or where
        the tokens are not in the order in which a model of `direction` reads, or not those of
        the tokenizer with these files."""
        if direction not in (None, self.manifest.direction):
            raise damaged(
                self.folder / MANIFEST,
                f"its tokens run {self.manifest.direction}, and the run's model reads {direction}",
            )
        if tokenizer_files is not None and files_sha256(tokenizer_files) != (
            self.manifest.tokenizer_sha256
        ):
            raise damaged(self.folder / MANIFEST, "its tokens are those of another tokenizer")
        for part, entry in self.manifest.parts.items():
            dtype = smallest_dtype(self.manifest.vocabulary_size)
            if verify_part(self.folder, part, entry, dtype) >= self.manifest.vocabulary_size:
                raise damaged(
                    ids_path(self.folder, part),
                    f"a token is not below {self.manifest.vocabulary_size}",
                )


def _ignore(message: str) -> None:
    """Nobody is told."""


def prepare(
    sources: Sources,
    *,
    folder: Path,
    fit_or_tokenizer: TokenizerSettings | Tokenizer,
    grow: bool = False,
    valid: Sources | None = None,
    test: Sources | None = None,
    valid_fraction: str | float = "0.1",
    test_fraction: str | float = "0",
    direction: str = FORWARD,
    encoding: str = "utf-8",
    errors: str = "strict",
    canaries: Canaries | None = None,
    stdin: BinaryIO | None = None,
    say: Say = _ignore,
    progress: Progress | None = None,
    block_characters: int = BLOCK_CHARACTERS,
) -> tuple[TokenCache, Tokenizer]:
    """Read, split, tokenize and cache a text in `folder`, over what cache it held.

    A fraction is that of the characters at the end of `sources`, and has no effect where
    the part has sources of its own. Settings are fitted on the train part alone; `grow`: a
    tokenizer that is given takes in what is new there. `direction` backward: the tokens of each
    document are stored from its end to its beginning. `canaries` are planted in the train part.
    `progress` gets the number of characters after each block, and 0 while the tokenizer is fitted;
    it may raise, to break off. UsageError: encoding, fractions, settings; DataError: the text;
    MachineError: the folder cannot be written.
    """
    fractions = exact_fractions(0 if valid else valid_fraction, 0 if test else test_fraction)
    roles: dict[str, Sources] = {"train": sources}
    if valid:
        roles["valid"] = valid
    if test:
        roles["test"] = test
    reading = Reading(
        encoding=encoding,
        errors=errors,
        stdin=stdin,
        say=say,
        block_characters=block_characters,
        canaries=canaries,
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_corpus(roles, reading, folder) as corpus:
            spans = corpus.spans(*fractions)
            training_text = chain.from_iterable(corpus.part("train", *spans["train"]))
            tokenizer = tokenizer_for(
                fit_or_tokenizer, _watched(training_text, progress), grow, say
            )
            _clear(folder)
            parts = {
                part: _write(folder, part, corpus, *spans[part], tokenizer, direction, progress)
                for part in PARTS
                if part in spans
            }
            manifest = Manifest(
                corpus_sha256=fingerprint(corpus.documents),
                sources=bits_kept(corpus.documents, tokenizer.lossless, say),
                tokenizer_sha256=files_sha256(tokenizer.to_files()),
                vocabulary_size=tokenizer.vocabulary_size,
                dtype=tokenizer.dtype.name,
                direction=BACKWARD if direction == BACKWARD else FORWARD,
                parts=parts,
            )
            write_atomically(folder / MANIFEST, sealed(manifest), 0o600)
    except OSError as problem:
        raise MachineError(
            f"The token cache cannot be written in {folder}: {problem.strerror or problem}.",
            f"It needs about {'four' if direction == BACKWARD else 'three'} times the size of the "
            "text there, and leave to write.",
        ) from problem
    return TokenCache.open(folder), tokenizer


def prepare_whole(
    sources: Sources,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    direction: str = FORWARD,
    encoding: str = "utf-8",
    errors: str = "strict",
    stdin: BinaryIO | None = None,
    say: Say = _ignore,
    progress: Progress | None = None,
) -> Part:
    """All of a text as one part, tokenized by an existing tokenizer; errors as `prepare`."""
    cache, _ = prepare(
        sources,
        folder=folder,
        fit_or_tokenizer=tokenizer,
        valid_fraction=0,
        direction=direction,
        encoding=encoding,
        errors=errors,
        stdin=stdin,
        say=say,
        progress=progress,
    )
    return cache.parts["train"]


def _watched(blocks: Iterable[str], progress: Progress | None) -> Iterator[str]:
    """The blocks, with a word to `progress` before each, which may break off."""
    for block in blocks:
        if progress is not None:
            progress(0)
        yield block


def _clear(folder: Path) -> None:
    # The manifest first: no moment may show an old manifest beside new tokens.
    old = [path(folder, part) for part in PARTS for path in (ids_path, documents_path)]
    for path in (folder / MANIFEST, *old):
        with suppress(FileNotFoundError):
            path.unlink()


def _write(
    folder: Path,
    part: str,
    corpus: Corpus,
    role: str,
    span: tuple[int, int],
    tokenizer: Tokenizer,
    direction: str,
    progress: Progress | None,
) -> PartEntry:
    counter = TextCounter()

    def encoded(document: Iterator[str]) -> Iterator[npt.NDArray[Any]]:
        continues = False
        for block in document:
            counter.add(block)
            yield tokenizer.encode(block, continues)
            continues = not block.endswith("\n")
            if progress is not None:
                progress(len(block))

    with PartWriter(folder, part) as writer:
        for document in corpus.part(part, role, span):
            blocks = encoded(document)
            if direction == BACKWARD:
                blocks = from_the_end(blocks, tokenizer.grammar, folder)
            for ids in blocks:
                writer.add(ids)
            writer.end_document()
            counter.end_document()
        if not writer.tokens:
            raise DataError(
                f"The {part} text is a line of whitespace, which --word-oov unk does not keep.",
                "Give more text, or leave --word-oov out.",
            )
        return writer.finish(role, span, counter.counts)
