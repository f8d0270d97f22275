"""Lines of a text: of a byte stream as they come, for `score`, whose answers must not wait; and
of blocks that are at hand."""

import select
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from charlm.text.decoding import Say, check_decoding, decoded

_READ_BYTES = 1 << 16


def ready(stream: BinaryIO) -> bool:
    """Whether a read would answer at once: data or the end; always so for what is no pipe."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLIN)
    except (OSError, ValueError):  # no file behind it
        return True
    return bool(poll.poll(0))


def without_break(line: str) -> str:
    """A line without the break that ends it, LF or CRLF; a CR alone is text."""
    return line.removesuffix("\r\n").removesuffix("\n")


def read_lines(
    stream: BinaryIO, *, name: str, encoding: str = "utf-8", errors: str = "strict", say: Say
) -> Iterator[str]:
    """The lines of `stream`, each with its \n where it has one; only \n ends a line.

    A leading byte order mark is dropped and said. DataError: invalid bytes, with line and
    offset; with errors="replace" they become U+FFFD, and their number is said at the end.
    """
    for batch in line_batches(stream, 1, 1, name=name, encoding=encoding, errors=errors, say=say):
        yield from batch


def line_batches(
    stream: BinaryIO,
    most_lines: int,
    most_characters: int,
    *,
    name: str,
    encoding: str = "utf-8",
    errors: str = "strict",
    say: Say,
) -> Iterator[list[str]]:
    """Lines as `read_lines` gives them, in groups.

    A group ends at `most_lines`, before the line that would take it beyond `most_characters`
    (a longer line is a group of its own), and when no more input is waiting right now, so
    that a pipe gets its answers as its lines come.
    """
    check_decoding(encoding, errors)
    blocks = decoded(
        cast(BinaryIO, _Arriving(stream)),
        name=name,
        encoding=encoding,
        errors=errors,
        say=say,
        chunk_bytes=_READ_BYTES,
    )
    batch: list[str] = []
    characters = 0
    for line in _lines(_with_waits(blocks, stream)):
        if line is not None:
            if batch and characters + len(line) > most_characters:
                yield batch
                batch, characters = [], 0
            batch.append(line)
            characters += len(line)
        if batch and (line is None or len(batch) >= most_lines):
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _Arriving:
    """A stream whose reads give what is there instead of waiting for all that was asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        # A gzip file has read1; a raw one, whose read does so itself, has not.
        self.read = getattr(stream, "read1", stream.read)


def lines_of(blocks: Iterable[str]) -> Iterator[str]:
    """The lines of a text in blocks, each with its \n where it has one, wherever the blocks end."""
    return (line for line in _lines(blocks) if line is not None)


def _with_waits(blocks: Iterator[str], stream: BinaryIO) -> Iterator[str | None]:
    """The blocks, and None where the next one has not come yet."""
    for block in blocks:
        yield block
        if not ready(stream):
            yield None


def _lines(blocks: Iterable[str | None]) -> Iterator[str | None]:
    """The lines of a text in blocks, and each None among these."""
    pieces: list[str] = []  # of a line whose end has not come
    for block in blocks:
        if block is None:
            yield None
            continue
        head, *rest = block.split("\n")
        pieces.append(head)
        for piece in rest:
            pieces.append("\n")
            yield "".join(pieces)
            pieces = [piece]
    last = "".join(pieces)
    if last:
        yield last
