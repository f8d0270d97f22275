"""Lines of a byte stream, read as they come: for `score`, whose answers must not wait."""

import select
from collections.abc import Iterator
from typing import BinaryIO

from charlm.errors import DataError
from charlm.text.decoding import REPLACEMENT, Say, check_decoding, invalid
from charlm.text.sources import read_errors

_READ_BYTES = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SAMPLE_BYTES = 1 << 15


def ready(stream: BinaryIO) -> bool:
    """Whether a read would answer at once: data or the end; always so for what is no pipe."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLIN)
    except (OSError, ValueError):  # no file behind it
        return True
    return bool(poll.poll(0))


def read_lines(stream: BinaryIO, *, name: str, errors: str = "strict", say: Say) -> Iterator[str]:
    """The lines of UTF-8 in `stream`, each with its \\n where it has one; only \\n ends a line.

    A leading byte order mark is dropped. DataError: invalid bytes, with line and offset; with
    errors="replace" they become U+FFFD, and their number is said at the end.
    """
    for batch in line_batches(stream, 1, 1, name=name, errors=errors, say=say):
        yield from batch


def line_batches(
    stream: BinaryIO,
    most_lines: int,
    most_characters: int,
    *,
    name: str,
    errors: str = "strict",
    say: Say,
) -> Iterator[list[str]]:
    """Lines as `read_lines` gives them, in groups.

    A group ends at `most_lines`, before the line that would take it beyond `most_characters`
    (a longer line is a group of its own), and when no more input is waiting right now, so
    that a pipe gets its answers as its lines come.
    """
    check_decoding("utf-8", errors)
    decoder = _LineDecoder(name, errors)
    batch: list[str] = []
    characters = 0
    for line in _raw_lines(stream, name):
        if line is not None:
            text = decoder.decode(line)
            if batch and characters + len(text) > most_characters:
                yield batch
                batch, characters = [], 0
            batch.append(text)
            characters += len(text)
        if batch and (line is None or len(batch) >= most_lines):
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
    if decoder.replaced:
        say(f"{name}: {decoder.replaced} invalid byte sequences replaced by U+FFFD.")


def _raw_lines(stream: BinaryIO, name: str) -> Iterator[bytes | None]:
    """Lines as bytes; None where the next one has not come yet."""
    # read1 gives what is there; a stream without it (a gzip file has it, a raw one not) reads so.
    read = getattr(stream, "read1", stream.read)
    pieces: list[bytes] = []  # of a line whose end has not come
    first = True
    while True:
        if not first and not ready(stream):
            yield None
        first = False
        with read_errors(name):
            data: bytes = read(_READ_BYTES)
        if not data:
            break
        head, *rest = data.split(b"\n")
        pieces.append(head)
        for piece in rest:
            pieces.append(b"\n")
            yield b"".join(pieces)
            pieces = [piece]
    last = b"".join(pieces)
    if last:
        yield last


class _LineDecoder:
    """Bytes of one line after another to text, with the place in the stream for complaints."""

    def __init__(self, name: str, errors: str) -> None:
        self.replaced = 0
        self._name = name
        self._errors = errors
        self._line = 0
        self._offset = 0
        self._head = b""

    def decode(self, line: bytes) -> str:
        self._line += 1
        skipped = 0
        if self._line == 1:
            self._head = line[:4]
            skipped = len(_BYTE_ORDER_MARK) if line.startswith(_BYTE_ORDER_MARK) else 0
        try:
            text = line[skipped:].decode("utf-8")
        except UnicodeDecodeError as problem:
            if self._errors == "strict":
                raise self._refuse(line, skipped + problem.start) from problem
            text = line[skipped:].decode("utf-8", "replace")
            kept = line[skipped:].decode("utf-8", "ignore")
            self.replaced += text.count(REPLACEMENT) - kept.count(REPLACEMENT)
        self._offset += len(line)
        return text

    def _refuse(self, line: bytes, place: int) -> DataError:
        return invalid(
            self._name,
            "utf-8",
            line=self._line,
            offset=self._offset + place,
            offending=line[place],
            head=self._head,
            sample=line[max(0, place - _SAMPLE_BYTES) : place + _SAMPLE_BYTES],
        )
