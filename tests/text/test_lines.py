"""Lines of a stream: only \\n ends them, a pipe is not waited for, complaints name the place."""

import gzip
import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, UsageError
from charlm.text.lines import line_batches, lines_of, read_lines, ready

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\n\r\x0b\x85\u2028"), max_size=40
)


def quiet(message: str) -> None:
    assert message == "it: byte order mark dropped."


def lines(stream: BinaryIO, errors: str = "strict") -> list[str]:
    return list(read_lines(stream, name="it", errors=errors, say=quiet))


def by_hand(text: str) -> list[str]:
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + [pieces[-1]] * bool(pieces[-1])


class Dripping(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read(3)


@settings(max_examples=80, deadline=None)
@given(text=TEXTS, most_lines=st.integers(1, 4), most_characters=st.integers(1, 12))
def test_groups_hold_the_lines_in_order(text: str, most_lines: int, most_characters: int) -> None:
    expected = by_hand(text.removeprefix("\ufeff"))
    for stream in (io.BytesIO(text.encode()), Dripping(text.encode())):
        groups = list(line_batches(stream, most_lines, most_characters, name="it", say=quiet))
        assert [line for group in groups for line in group] == expected
        for group, following in zip(groups, [*groups, None][1:], strict=True):
            assert 1 <= len(group) <= most_lines
            size = sum(map(len, group))
            assert size <= most_characters or len(group) == 1
            if following is not None and len(group) < most_lines:
                assert size + len(following[0]) > most_characters
    assert lines(io.BytesIO(text.encode())) == expected


@settings(max_examples=80, deadline=None)
@given(blocks=st.lists(TEXTS, max_size=4))
def test_lines_go_over_the_ends_of_blocks(blocks: list[str]) -> None:
    assert list(lines_of(blocks)) == by_hand("".join(blocks))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_an_encoding_that_needs_a_mark(encoding: str, errors: str) -> None:
    stream = io.BytesIO(b"the knee\n" * 3)
    with pytest.raises(DataError, match=f"it is not (valid )?{encoding}"):
        list(read_lines(stream, name="it", encoding=encoding, errors=errors, say=quiet))


def test_a_group_may_have_just_the_most_characters() -> None:
    stream = io.BytesIO(b"ab\ncd\nef\n")
    groups = line_batches(stream, 9, 6, name="it", say=quiet)
    assert list(groups) == [["ab\n", "cd\n"], ["ef\n"]]


def test_lines_longer_than_a_read_are_whole() -> None:
    text = "a" * 200_000 + "\n" + "中" * 70_000 + "\n\nend"
    assert lines(io.BytesIO(text.encode())) == by_hand(text)


@settings(max_examples=60, deadline=None)
@given(data=st.lists(st.binary(max_size=2) | st.just(b"\n") | st.just("中".encode())).map(b"".join))
def test_invalid_bytes_are_placed_or_replaced(data: bytes) -> None:
    said: list[str] = []
    found = list(read_lines(io.BytesIO(data), name="it", errors="replace", say=said.append))
    assert "".join(found) == data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        data.decode()
    except UnicodeDecodeError as problem:
        line = 1 + data[: problem.start].count(b"\n")
        place = f"line {line}, byte offset {problem.start}, byte 0x{data[problem.start]:02X}"
        with pytest.raises(DataError, match=place):
            lines(io.BytesIO(data))
        assert len(said) == 1 and said[0].startswith("it: ")
    else:
        assert said == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "cp1251", "shift_jis", "latin-1"])
def test_lines_of_other_encodings(encoding: str) -> None:
    text = {"cp1251": "Да\n\nнет", "latin-1": "caf\xe9\r\n\x85\n"}.get(encoding, "中\n、\n\nаж")
    data = text.encode(encoding)
    how = {"name": "it", "encoding": encoding, "say": quiet}
    assert list(read_lines(Dripping(data), **how)) == by_hand(text)
    if encoding == "shift_jis":
        with pytest.raises(DataError, match=r"it is not valid shift_jis: line 4, byte offset 9"):
            list(read_lines(io.BytesIO(data[:-1] + b"\xff"), **how))


def test_an_encoding_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="'utf-9' is not the name"):
        list(read_lines(io.BytesIO(b"a"), name="it", encoding="utf-9", say=quiet))


def test_replacements_are_counted_and_the_texts_own_are_not() -> None:
    said: list[str] = []
    data = "\ufffd\n".encode() + b"\xff\xfe a\xe4\xb8\n\xff"
    found = list(read_lines(io.BytesIO(data), name="it", errors="replace", say=said.append))
    assert found == ["\ufffd\n", "\ufffd\ufffd a\ufffd\n", "\ufffd"]
    assert said == ["it: 4 invalid byte sequences replaced by U+FFFD."]
    with pytest.raises(UsageError, match="--errors ignore"):
        lines(io.BytesIO(b"a"), errors="ignore")


def test_a_mark_is_dropped_at_the_start_only() -> None:
    data = b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n"
    assert lines(io.BytesIO(data)) == ["a\n", "\ufeffb\n"]
    with pytest.raises(DataError, match="line 1, byte offset 4"):
        lines(io.BytesIO(b"\xef\xbb\xbfa\xff\n"))


def test_a_pipe_gets_its_answers_as_its_lines_come() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:
        assert not ready(stream)
        pipe.write(b"one\ntwo\nthr")
        assert ready(stream)
        groups = line_batches(stream, 100, 10_000, name="it", say=quiet)
        # Were the reader to wait for more, this would hang: nobody writes.
        assert next(groups) == ["one\n", "two\n"]
        pipe.write(b"ee\n")
        assert next(groups) == ["three\n"]
        pipe.write(b"\nlast")
        assert next(groups) == ["\n"]
        pipe.close()
        assert ready(stream)
        assert list(groups) == [["last"]]


def test_what_was_peeked_at_is_not_lost() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:
        pipe.write(b"one\ntwo\n")
        assert stream.peek(1)
        groups = line_batches(stream, 100, 10_000, name="it", say=quiet)
        assert next(groups) == ["one\n", "two\n"]


def test_files_are_grouped_in_full(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"line\n" * 50_000)
    with open(path, "rb") as stream:
        groups = list(line_batches(stream, 1000, 10**6, name="it", say=quiet))
    assert [len(group) for group in groups] == [1000] * 50
    with gzip.open(io.BytesIO(gzip.compress(b"a\nb\n")), "rb") as packed:
        assert lines(packed) == ["a\n", "b\n"]  # type: ignore[arg-type]


def test_a_broken_stream_is_named() -> None:
    cut = io.BytesIO(gzip.compress(os.urandom(9000))[:5000])
    with gzip.open(cut, "rb") as packed, pytest.raises(DataError, match="it is not whole gzip"):
        list(read_lines(packed, name="it", errors="replace", say=quiet))  # type: ignore[arg-type]
