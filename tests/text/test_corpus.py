"""Sources, encodings and the spool: exact text out, clear words for what is no text."""

import gzip
import hashlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import CharlmError, DataError, UsageError
from charlm.text.corpus import Corpus, Document, Reading, open_corpus
from charlm.text.decoding import check_decoding, decoded, guess_encoding
from charlm.text.sources import at_hand, expand, open_source

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\ufeff\ufffd"), max_size=30
)


def decode(data: bytes, size: int = 1 << 20, **options: str) -> tuple[str, list[str]]:
    said: list[str] = []
    blocks = decoded(io.BytesIO(data), name="it", say=said.append, chunk_bytes=size, **options)
    return "".join(blocks), said


@settings(max_examples=80, deadline=None)
@given(text=TEXTS, size=st.integers(1, 7), encoding=st.sampled_from(["utf-8", "utf-16", "gb18030"]))
def test_decoding_in_small_chunks_is_decoding_at_once(text: str, size: int, encoding: str) -> None:
    marked = text.startswith("\ufeff")
    found, said = decode(text.encode(encoding), size, encoding=encoding)
    assert found == text[marked:]
    assert len(said) == marked


def test_only_the_first_mark_is_dropped_and_only_invalid_bytes_are_counted() -> None:
    data = "\ufeffa\ufeff\ufffdb".encode() + b"\xff"
    for size in (1, 3, 100):
        assert decode(data, size, errors="replace") == (
            "a\ufeff\ufffdb\ufffd",
            [
                "it: byte order mark dropped.",
                "it: 1 invalid byte sequences replaced by U+FFFD.",
            ],
        )


@settings(max_examples=120, deadline=None)
@given(
    data=st.lists(st.binary(max_size=3) | TEXTS.map(str.encode), max_size=6).map(b"".join),
    size=st.integers(1, 7),
)
def test_invalid_bytes_are_placed_or_replaced_as_python_does(data: bytes, size: int) -> None:
    text = data.decode("utf-8", "replace")
    found, said = decode(data, size, errors="replace")
    assert found == text.removeprefix("\ufeff")
    handled: list[int] = []
    rest = data
    while True:  # count what strict decoding stops at, one after another
        try:
            rest.decode("utf-8")
            break
        except UnicodeDecodeError as problem:
            handled.append(problem.start)
            rest = rest[problem.end :]
    counted = [message for message in said if "invalid" in message]
    assert counted == (
        [f"it: {len(handled)} invalid byte sequences replaced by U+FFFD."] if handled else []
    )
    if handled:
        line = 1 + data[: handled[0]].count(b"\n")
        place = f"line {line}, byte offset {handled[0]}, byte 0x{data[handled[0]]:02X}."
        with pytest.raises(DataError) as caught:
            decode(data, size)
        assert f"it is not valid utf-8: {place}" in caught.value.what
        assert "--errors replace" in caught.value.hint and "--encoding" in caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_a_text_without_the_mark_that_its_encoding_needs_is_refused(
    encoding: str, errors: str
) -> None:
    with pytest.raises(DataError, match=f"not valid {encoding}: line 1, byte offset 0, byte 0x74"):
        decode(b"the first line\n", encoding=encoding, errors=errors)


def test_a_broken_multibyte_encoding_is_placed_too() -> None:
    data = "中\n文".encode("gb18030") + b"\xff\xff"
    for size in (1, 2, 3, 100):
        with pytest.raises(DataError, match=r"line 2, byte offset 5, byte 0xFF"):
            decode(data, size, encoding="gb18030")


GERMAN = "Käse schmeckt größer als für Öl.\n" * 9


@pytest.mark.parametrize(
    ("data", "guess"),
    [
        (GERMAN.encode("cp1252"), "cp1252"),
        (GERMAN.encode("latin-1") + b"\x81", "latin-1"),
        (GERMAN.encode("utf-16"), "utf-16"),
        (GERMAN.encode("utf-16-le"), "utf-16-le"),
        (GERMAN.encode("utf-16-be"), "utf-16-be"),
        (GERMAN.encode("utf-32"), "utf-32"),
        (("Все люди рождаются свободными и равными.\n" * 9).encode("cp1251"), "cp1251"),
        (("人人生而自由,在尊严和权利上一律平等。\n" * 9).encode("gb18030"), "gb18030"),
        (("すべての人間は、生まれながらにして自由\n" * 9).encode("shift_jis"), "shift_jis"),
        (gzip.compress(GERMAN.encode(), mtime=0), None),
        (bytes(range(256)) * 9, None),
    ],
)
def test_the_guess_at_the_encoding(data: bytes, guess: str | None) -> None:
    assert guess_encoding(data[:4], data)[0] == guess
    with pytest.raises(DataError) as caught:
        decode(data)
    assert (f"--encoding {guess}" if guess else "--encoding NAME") in caught.value.hint


@pytest.mark.parametrize("name", ["nonsense", "rot13", "base64", "undefined", "a\0b", "", "é"])
def test_encodings_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="text encoding"):
        check_decoding(name, "strict")


def test_errors_is_strict_or_replace() -> None:
    with pytest.raises(UsageError, match="--errors ignore"):
        check_decoding("utf-8", "ignore")


def test_surrogates_from_a_codec_are_refused() -> None:
    with pytest.raises(DataError, match=r"U\+D800"):
        decode(b"\\ud800", encoding="raw_unicode_escape")


def test_a_folder_is_searched_and_sorted_by_parts(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a-b.txt", "a/b/c.txt", "a/x.txt.gz", "a/no.md", "d.TXT"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [str(source.path.relative_to(tmp_path)) for source in expand([tmp_path]) if source.path]
    assert found == ["a/b/c.txt", "a/x.txt.gz", "a/z.txt", "a-b.txt", "b.txt"]


def test_what_lies_in_a_run_is_no_text(tmp_path: Path) -> None:
    """A model must not learn from what models wrote."""
    for name in ("b.txt", "runs/a/samples/100.txt", "runs/note.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "runs" / "a" / "checkpoints").mkdir()
    (tmp_path / "runs" / "a" / "config.toml").write_text("")
    found = [str(source.path.relative_to(tmp_path)) for source in expand([tmp_path]) if source.path]
    assert found == ["b.txt", "runs/note.txt"]


def test_no_name_is_no_folder() -> None:
    """An unset variable must not stand for all there is here."""
    with pytest.raises(DataError, match="no name"):
        expand([""])


def test_a_text_that_is_at_hand_is_read_as_it_is(tmp_path: Path) -> None:
    """It has been decoded before, mark and all."""
    text = "\ufeffcaf\u00e9 \u201d"
    found, _ = read([at_hand("row 1", text)], tmp_path, encoding="cp1252")  # type: ignore[list-item]
    assert found == [text]


def test_a_text_that_stands_on_two_sides_is_said(tmp_path: Path) -> None:
    for name, text in (("a.txt", "one"), ("b.txt", "two"), ("c.txt", "one"), ("d.txt", "")):
        (tmp_path / name).write_text(text)
    said: list[str] = []
    sources = {"train": [tmp_path / "a.txt", tmp_path / "d.txt"], "valid": [tmp_path / "c.txt"]}
    with open_corpus(sources, Reading(say=said.append), tmp_path):
        pass
    (warning,) = [words for words in said if words.startswith("Warning")]
    assert "c.txt" in warning and "a.txt" in warning and "training text" in warning
    # Of many one is said, and the worst: a text on two sides.
    said.clear()
    (tmp_path / "e.txt").write_text("one")
    sources["train"].append(tmp_path / "e.txt")
    with open_corpus(sources, Reading(say=said.append), tmp_path):
        pass
    (warning,) = [words for words in said if words.startswith("Warning")]
    assert "c.txt" in warning and "1 more" in warning


def test_a_dash_is_standard_input_but_a_path_of_that_name_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("file")
    standard, file = expand(["-", "./-"])
    assert standard.path is None and file.path == Path("-")
    stdin = io.BytesIO(b"in")
    with open_source(standard, stdin) as stream:
        assert stream.read() == b"in"
    assert not stdin.closed
    with pytest.raises(UsageError, match="no standard input"), open_source(standard):
        pass


def read(sources: list[str | Path], folder: Path, **options: object) -> tuple[list[str], Corpus]:
    reading = Reading(**options)  # type: ignore[arg-type]
    with open_corpus({"train": sources}, reading, folder) as corpus:
        texts = corpus.texts("train", 0, corpus.characters("train"))
        return ["".join(text) for text in texts], corpus


def test_text_comes_through_byte_exact(tmp_path: Path) -> None:
    text = "a\r\nb\0\x1b[0m\re\u0301\u2028\x85\U0001f600\ufeff\n\n"
    (tmp_path / "plain").write_bytes(text.encode())
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "packed.gz").write_bytes(gzip.compress(text.encode()) + gzip.compress(b"more"))
    said: list[str] = []
    names = [tmp_path / "plain", tmp_path / "marked", tmp_path / "packed.gz", "-"]
    found, corpus = read(names, tmp_path, stdin=io.BytesIO(b"piped"), say=said.append)
    assert found == [text, text, text + "more", "piped"]
    said = [words for words in said if not words.startswith("Warning")]  # of the copy
    assert said == [f"{tmp_path / 'marked'}: byte order mark dropped."]
    assert corpus.documents[3] == Document(
        name="standard input",
        role="train",
        characters=5,
        bytes=5,
        sha256=hashlib.sha256(b"piped").hexdigest(),
    )


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=3), size=st.integers(1, 7), data=st.data())
def test_spans_of_the_spool_are_slices_of_the_text(
    texts: list[str], size: int, data: st.DataObject
) -> None:
    whole = "".join(texts)
    encoded = io.BytesIO(whole.encode())
    documents = [Document("x", "train", len(text), len(text.encode()), "") for text in texts]
    corpus = Corpus(documents, encoded, Reading(block_characters=size))
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    found = [list(blocks) for blocks in corpus.texts("train", start, stop)]
    assert "".join(map("".join, found)) == whole[start:stop]
    place, expected = 0, []
    for text in texts:
        piece = text[max(start - place, 0) : max(stop - place, 0)]
        expected += [piece] if piece else []
        place += len(text)
    assert ["".join(blocks) for blocks in found] == expected
    assert all(len(block) < 3 * size for blocks in found for block in blocks)


def test_blocks_end_at_line_breaks_where_they_can(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("ab\ncd\nefghijklmnop\nq")
    with open_corpus({"train": [tmp_path / "t"]}, Reading(block_characters=5), tmp_path) as corpus:
        (blocks,) = map(list, corpus.texts("train", 0, 20))
    assert blocks == ["ab\n", "cd\n", "efghijklm", "nop\n", "q"]


def test_the_spool_is_never_seen(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("text")
    folder = tmp_path / "cache"
    folder.mkdir()
    with open_corpus({"train": [tmp_path / "t"]}, Reading(), folder) as corpus:
        assert list(folder.iterdir()) == []
        assert os.fstat(corpus._spool.fileno()).st_mode & 0o777 == 0o600


def make(tmp_path: Path, what: str) -> str:
    path = tmp_path / "it.txt"
    if what == "missing":
        return str(path)
    if what == "folder":
        path.mkdir()
        (path / "a.md").write_text("x")
    elif what == "empty" or what == "only a mark":
        path.write_bytes(b"" if what == "empty" else b"\xef\xbb\xbf")
    elif what == "no gzip":
        path = path.with_suffix(".gz")
        path.write_bytes(b"plain text")
    elif what in ("cut gzip", "damaged gzip"):
        path = path.with_suffix(".gz")
        data = bytearray(gzip.compress(os.urandom(5000)))
        data[2500] ^= 255
        path.write_bytes(data[:3000] if what == "cut gzip" else data)
    elif what == "a byte that is not UTF-8":
        path.write_bytes(b"caf\xe9")
    return str(path)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("missing", "does not exist"),
        ("folder", r"has no file \*.txt or \*.txt.gz"),
        ("empty", "has no characters"),
        ("only a mark", "has no characters"),
        ("no gzip", "not whole gzip data"),
        ("cut gzip", "gzip"),
        ("a byte that is not UTF-8", "byte offset 3, byte 0xE9. Perhaps it is cp1252"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_name(tmp_path: Path, what: str, words: str) -> None:
    name = make(tmp_path, what)
    # Random bytes are cut, not text: read them as Latin-1, so that only the packing is wrong.
    encoding = "latin-1" if "gzip" in what else "utf-8"
    with pytest.raises(DataError, match=words) as caught:
        read([name], tmp_path, encoding=encoding)
    assert name in caught.value.what and caught.value.hint


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    name = make(tmp_path, "damaged gzip")
    with pytest.raises(DataError, match="not whole gzip data"):
        read([name], tmp_path, encoding="latin-1")


def test_a_read_that_fails_is_a_data_error_and_a_write_that_fails_is_not(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(DataError, match="standard input cannot be read: Input/output error"):
        read(["-"], tmp_path, stdin=Broken())

    def say(message: str) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "t").write_bytes(b"\xef\xbb\xbftext")
    with pytest.raises(OSError, match="No space left") as caught:
        read([tmp_path / "t"], tmp_path, say=say)
    assert not isinstance(caught.value, CharlmError)


def test_standard_input_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="twice"):
        read(["-", "-"], tmp_path, stdin=io.BytesIO(b"x"))


def test_empty_files_among_others_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").write_text("b")
    said: list[str] = []
    found, corpus = read([tmp_path], tmp_path, say=said.append)
    assert found == ["b"]
    assert said == [f"{tmp_path / 'a.txt'} is empty."]
    assert [document.characters for document in corpus.documents] == [0, 1]
