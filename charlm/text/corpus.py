"""A corpus: sources decoded once into a spool of UTF-8, from which its parts are read.

Standard input can be read only once and a split needs the total length first, so all
text goes through the spool: an unnamed temporary file, which the system frees even if the
process is killed. Memory stays flat; a block is the most that is held.
"""

import codecs
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from charlm.errors import DataError, UsageError
from charlm.text.canaries import Canaries
from charlm.text.decoding import Say, check_decoding, decoded
from charlm.text.source_bits import source_bits
from charlm.text.sources import STDIN, Source, expand, open_source
from charlm.text.splits import split_spans

BLOCK_CHARACTERS = 1 << 20

Sources = Sequence[str | Path | Source]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One source as decoded: its sizes and the SHA-256 of its UTF-8, without a mark."""

    name: str
    role: str  # "train": what the fractions split; "valid" or "test": given apart
    characters: int
    bytes: int
    sha256: str
    source_bits: Annotated[float, msgspec.Meta(ge=0)] | None = None  # see text/source_bits.py


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How sources are read."""

    encoding: str = "utf-8"
    errors: str = "strict"
    stdin: BinaryIO | None = None
    say: Say = lambda message: None
    block_characters: int = BLOCK_CHARACTERS
    canaries: Canaries | None = None


def read_documents(
    sources: dict[str, Sources], reading: Reading, spool: BinaryIO | None
) -> list[Document]:
    """Decode every source of every role, in order, into `spool` where there is one.

    UsageError: unknown encoding, `-` twice. DataError: a source that is missing, unreadable,
    not valid in the encoding; a role without a single character.
    """
    check_decoding(reading.encoding, reading.errors)
    if [source for group in sources.values() for source in group].count(STDIN) > 1:
        raise UsageError(
            "`-` is named twice, and standard input can be read only once.",
            "Name it once; put the other text into a file.",
        )
    documents: list[Document] = []
    files: dict[str, Document] = {}
    copies: list[tuple[Document, Document]] = []
    for role, group in sources.items():
        characters = 0
        for source in expand(group):
            digest = hashlib.sha256()
            length = size = 0
            for block in blocks_of(source, reading):
                data = block.encode("utf-8")
                digest.update(data)
                length += len(block)
                size += len(data)
                if spool is not None:
                    spool.write(data)
            if not length:
                reading.say(f"{source.name} is empty.")
            sha256 = digest.hexdigest()
            bits = None
            if source.path is not None:
                bits = source_bits(source.path, length, sha256, reading.say)
            document = Document(source.name, role, length, size, sha256, bits)
            if length and source.path is not None:
                first = files.setdefault(sha256, document)
                copies += [(document, first)] if first is not document else []
            documents.append(document)
            characters += length
        if not characters:
            names = ", ".join(document.name for document in documents if document.role == role)
            raise DataError(
                f"The {'text' if role == 'train' else f'{role} text'} has no characters: "
                f"{names or 'no source'} is empty.",
                "Name a text of at least one character.",
            )
    if copies:
        _say_of_copies(copies, reading.say)
    return documents


def _say_of_copies(copies: Sequence[tuple[Document, Document]], say: Say) -> None:
    """A text that is learned from and measured on at once makes figures that flatter."""
    # The worst first: one that stands on two sides.
    document, first = max(copies, key=lambda pair: pair[0].role != pair[1].role)
    where = "training" if first.role == "train" else first.role
    more = f" (and {len(copies) - 1:,} more like it)" if len(copies) > 1 else ""
    say(f"Warning: {document.name} is {first.name} once more, which is {where} text already{more}.")


def blocks_of(source: Source, reading: Reading) -> Iterator[str]:
    """The text of a source; a text that is at hand has been decoded before, mark and all."""
    if source.text is not None:
        yield source.text.decode("utf-8")
        return
    with open_source(source, reading.stdin) as stream:
        yield from decoded(
            stream,
            name=source.name,
            encoding=reading.encoding,
            errors=reading.errors,
            say=reading.say,
            chunk_bytes=reading.block_characters,
        )


def fingerprint(documents: Sequence[Document]) -> str:
    """SHA-256 over role, length and content of each document; names and places do not count."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.role} {document.bytes} {document.sha256}\n".encode())
    return digest.hexdigest()


def bits_kept(documents: Sequence[Document], lossless: bool, say: Say) -> list[Document]:
    """The documents; without the bits of their source where the tokens are not all of the text."""
    if lossless or all(document.source_bits is None for document in documents):
        return list(documents)
    say("No limit: the bits that come with this text are for all of it, and the tokens lose some.")
    return [msgspec.structs.replace(document, source_bits=None) for document in documents]


def corpus_fingerprint(
    sources: Sources,
    *,
    valid: Sources | None = None,
    test: Sources | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    stdin: BinaryIO | None = None,
) -> str:
    """The `corpus_sha256` that `token_cache.prepare` would note for these; errors as there."""
    roles = {"train": sources, "valid": valid or (), "test": test or ()}
    reading = Reading(encoding=encoding, errors=errors, stdin=stdin)
    given = {role: group for role, group in roles.items() if role == "train" or group}
    return fingerprint(read_documents(given, reading, None))


class Corpus:
    """The decoded documents of all roles, and their text by spans of characters."""

    def __init__(self, documents: Sequence[Document], spool: BinaryIO, reading: Reading) -> None:
        self.documents = documents
        self._spool = spool
        self._block = reading.block_characters
        self._canaries = reading.canaries

    def characters(self, role: str) -> int:
        """How many characters the documents of `role` have together."""
        return sum(document.characters for document in self.documents if document.role == role)

    def spans(
        self, valid_fraction: Fraction, test_fraction: Fraction
    ) -> dict[str, tuple[str, tuple[int, int]]]:
        """Part name to its role and characters: "train" cut by the fractions, others whole."""
        cut = split_spans(self.characters("train"), valid_fraction, test_fraction)
        roles = {document.role for document in self.documents} - {"train"}
        whole = {role: (role, (0, self.characters(role))) for role in roles}
        return {part: ("train", span) for part, span in cut.items()} | whole

    def part(self, part: str, role: str, span: tuple[int, int]) -> Iterator[Iterator[str]]:
        """The documents of a part of `spans`, as `texts`; train with its canaries in it."""
        documents = self.texts(role, *span)
        if part == "train" and self._canaries is not None:
            return self._canaries.plant(documents, span[1] - span[0])
        return documents

    def texts(self, role: str, start: int, stop: int) -> Iterator[Iterator[str]]:
        """The characters [start, stop) of `role`: for each document in them, its blocks.

        A block ends after a line break where it has one, so that no tokenizer meets half a
        word while lines are shorter than a block. Use each document before the next.
        """
        place = offset = 0
        for document in self.documents:
            if document.role == role:
                first, last = max(start - place, 0), min(stop - place, document.characters)
                if first < last:
                    yield _to_line_breaks(
                        _span(self._decoded(offset, document.bytes), first, last), self._block
                    )
                place += document.characters
            offset += document.bytes

    def _decoded(self, offset: int, size: int) -> Iterator[str]:
        """`size` bytes of the spool as text; a block has at most as many characters as bytes."""
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        while size:
            self._spool.seek(offset)
            data = self._spool.read(min(self._block, size))
            offset += len(data)
            size -= len(data)
            yield decoder.decode(data, not size)


def _span(blocks: Iterator[str], first: int, last: int) -> Iterator[str]:
    place = 0
    for block in blocks:
        if place >= last:
            return
        yield block[max(first - place, 0) : last - place]
        place += len(block)


def _to_line_breaks(blocks: Iterator[str], most: int) -> Iterator[str]:
    held = ""
    for block in blocks:
        held += block
        if len(held) >= most:
            cut = held.rfind("\n") + 1 or len(held)
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


@contextmanager
def open_corpus(sources: dict[str, Sources], reading: Reading, folder: Path) -> Iterator[Corpus]:
    """The corpus of `sources`, decoded into a spool in `folder` that ends with the block."""
    with tempfile.TemporaryFile(dir=folder, prefix="spool-") as spool:
        documents = read_documents(sources, reading, spool)
        yield Corpus(documents, spool, reading)
