"""Bytes to text, in blocks: encodings, the byte order mark, and clear words for what is invalid."""

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from charlm.errors import DataError, UsageError
from charlm.text.sources import CHUNK_BYTES, chunks

Say = Callable[[str], None]
ERRORS: Final = ("strict", "replace")
REPLACEMENT: Final = "\ufffd"
_MARK: Final = "\ufeff"
_SAMPLE_BYTES: Final = 1 << 15


def check_decoding(encoding: str, errors: str) -> None:
    """UsageError unless `encoding` names a text encoding and `errors` is strict or replace."""
    if errors not in ERRORS:
        raise UsageError(
            f"--errors {errors} is unknown.",
            "Use strict (refuse invalid bytes) or replace (U+FFFD, counted).",
        )
    try:
        "a".encode(encoding)  # an empty text would not reach the codec
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as problem:
        raise UsageError(
            f"{encoding!r} is not the name of a text encoding.",
            "Use one like utf-8, utf-16, cp1252, latin-1, cp1251, shift_jis, gb18030.",
        ) from problem


def decoded(
    stream: BinaryIO,
    *,
    name: str,
    encoding: str = "utf-8",
    errors: str = "strict",
    say: Say,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[str]:
    """The text of `stream` in blocks, exact but for one leading U+FEFF, which is dropped and said.

    With errors="replace" invalid bytes become U+FFFD and their number is said. DataError:
    bytes that are not valid in `encoding`, with line, offset, a guess, and the ways out; or
    text that UTF-8 cannot hold (lone surrogates).
    """
    reader = codecs.getincrementaldecoder(encoding)(errors)
    # What "ignore" leaves out is what "replace" replaces: the difference in U+FFFD counts the
    # replaced bytes and not the U+FFFD that the text itself has.
    ignoring = codecs.getincrementaldecoder(encoding)("ignore")
    head = b""
    offset = line_breaks = replaced = 0
    first = True
    for chunk, last in _with_end(chunks(stream, name, chunk_bytes)):
        if len(head) < 4:
            head += chunk[:4]
        state = reader.getstate()
        try:
            block = reader.decode(chunk, last)
        except UnicodeDecodeError as problem:
            held = len(state[0])
            start = problem.start - held  # in the chunk; below 0 where it began in an earlier one
            reader.setstate(state)
            before = reader.decode(chunk[: max(start, 0)])
            raise invalid(
                name,
                encoding,
                line=1 + line_breaks + before.count("\n"),
                offset=offset + start,
                offending=problem.object[problem.start],
                head=head,
                sample=_around(chunk, max(start, 0)),
            ) from problem
        except UnicodeError as problem:  # utf-16 and utf-32 that do not begin with their mark
            raise invalid(
                name,
                encoding,
                line=1,
                offset=0,
                offending=head[0],
                head=head,
                sample=_around(chunk, 0),
            ) from problem
        if errors == "replace":
            ignored = ignoring.decode(chunk, last)
            replaced += block.count(REPLACEMENT) - ignored.count(REPLACEMENT)
        offset += len(chunk)
        line_breaks += block.count("\n")
        if first and block:
            first = False
            if block[0] == _MARK:
                say(f"{name}: byte order mark dropped.")
                block = block[1:]
        if block:
            yield _without_surrogates(block, name, encoding)
    if replaced:
        say(f"{name}: {replaced} invalid byte sequences replaced by U+FFFD.")


def _with_end(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    for piece in pieces:
        yield piece, False
    yield b"", True


def _without_surrogates(block: str, name: str, encoding: str) -> str:
    try:
        block.encode("utf-8")
    except UnicodeEncodeError as problem:
        code = ord(block[problem.start])
        raise DataError(
            f"{name}: {encoding} gives the lone surrogate U+{code:04X}, which is not text.",
            "Check --encoding, or repair the file.",
        ) from problem
    return block


def _around(chunk: bytes, place: int) -> bytes:
    """Up to 64 KiB around `place`, from a line's start where one is near."""
    start = max(0, place - _SAMPLE_BYTES)
    if start:
        start = chunk.find(b"\n", start, place) + 1 or start
    return chunk[start : place + _SAMPLE_BYTES]


def invalid(
    name: str, encoding: str, *, line: int, offset: int, offending: int, head: bytes, sample: bytes
) -> DataError:
    """The error for a byte that is not valid in `encoding`; `head` and `sample` serve the guess."""
    guess, certain = guess_encoding(head, sample)
    if guess is None:
        advice = "It looks like binary or packed data, not text."
        way = "NAME"
    else:
        advice = f"{'It is' if certain else 'Perhaps it is'} {guess}."
        way = guess
    return DataError(
        f"{name} is not valid {encoding}: line {line}, byte offset {offset}, "
        f"byte 0x{offending:02X}. {advice}",
        f"Use --encoding {way}, or --errors replace to put U+FFFD in its place.",
    )


def guess_encoding(head: bytes, sample: bytes) -> tuple[str | None, bool]:
    """A name and whether it is certain, for bytes that are not UTF-8; None for binary data.

    By a byte order mark at the `head`; by NUL bytes (every second one: UTF-16; otherwise
    binary); then, where most letters are bytes above 7F, the first of Shift JIS, GB 18030
    and Windows Cyrillic that accepts all of `sample`; else Windows Western or Latin-1.
    """
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name, True
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"%PDF")):
        return None, True
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if even + odd:
        half = len(sample) // 2
        if odd > half // 4 and even < odd // 8:
            return "utf-16-le", False
        if even > half // 4 and odd < even // 8:
            return "utf-16-be", False
        return None, False
    high = sum(byte > 0x7F for byte in sample)
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    candidates = ("shift_jis", "gb18030", "cp1251") if high > letters else ("cp1252",)
    for name in candidates:
        try:
            codecs.getincrementaldecoder(name)("strict").decode(sample)
        except UnicodeDecodeError:
            continue
        return name, False
    return "latin-1", False
