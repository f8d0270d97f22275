"""scripts/get_corpus.py on small files made here: the cuts, the checks, and what is left alone."""

import csv
import hashlib
import io
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import get_corpus
from public_corpora import running
from public_corpora.known import CORPORA, Source


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def got(name: str, source: Path, out: Path, *more: str) -> int:
    given = ["--sha256", sha256(source)] if source.is_file() else []
    return get_corpus.main([name, "--from", str(source), "--out", str(out), *given, *more])


def read(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_tiny_shakespeare_keeps_the_last_tenth(tmp_path: Path) -> None:
    text = b"abcdefghi\n" * 11 + b"xyz"
    (tmp_path / "input.txt").write_bytes(text)
    assert got("tiny-shakespeare", tmp_path / "input.txt", tmp_path / "out") == 0
    cut = int(len(text) * 0.9)
    assert read(tmp_path / "out") == {"train.txt": text[:cut], "valid.txt": text[cut:]}


@pytest.mark.parametrize("name", ["enwik8", "text8"])
def test_ninety_five_five(name: str, tmp_path: Path) -> None:
    text = bytes(range(32, 127)) * 4
    source = zipped(tmp_path / f"{name}.zip", {name: text})
    assert got(name, source, tmp_path / "out") == 0
    parts = [read(tmp_path / "out")[f"{part}.txt"] for part in running.PARTS]
    assert b"".join(parts) == text
    assert [len(part) for part in parts] == [342, 19, 19]


@settings(deadline=None)
@given(st.text("aé聞𐍈", min_size=1, max_size=60), st.integers(0, 3))
def test_no_character_is_cut_in_two(text: str, broken: int) -> None:
    """Parts begin and end at characters, at most three bytes from where they should."""
    data = text.encode() + "𐍈".encode()[:broken]
    with tempfile.TemporaryDirectory() as folder:
        ends = {"train": len(data) * 90 // 100, "valid": len(data) * 95 // 100, "test": len(data)}
        said = running._cut(data, ends, Path(folder))
        parts = [(Path(folder) / f"{part}.txt").read_bytes() for part in running.PARTS]
    assert "".join(part.decode() for part in parts) == text
    assert all(
        0 <= len(b"".join(parts[: n + 1])) - end <= 3
        for n, end in enumerate([*ends.values()][:2])
        if end <= len(text.encode())
    )
    moved = len(parts[0]) != ends["train"] or len(b"".join(parts[:2])) != ends["valid"]
    assert bool(said) == (moved or broken > 0)


@pytest.mark.parametrize("name", ["wikitext-2", "wikitext-103"])
def test_wikitext_as_it_is(name: str, tmp_path: Path) -> None:
    content = {part: f" = {part} = \n <unk> é\r\n".encode() for part in running.PARTS}
    files = {f"{name}/wiki.{part}.tokens": data for part, data in content.items()}
    source = zipped(tmp_path / "w.zip", {f"{name}/": b"", **files})
    assert got(name, source, tmp_path / "out") == 0
    assert read(tmp_path / "out") == {f"{part}.txt": data for part, data in content.items()}


def test_penn_treebank_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in running.PARTS:
        (tmp_path / f"ptb.{part}.txt").write_text(f" the {part} N <unk> \n")
    assert got("penn-treebank", tmp_path, tmp_path / "out") == 0
    assert (tmp_path / "out/test.txt").read_text() == " the test N <unk> \n"
    shown = capsys.readouterr().out
    assert sha256(tmp_path / "ptb.valid.txt") in shown and "nothing to compare" in shown
    assert "--word-oov unk" in shown
    assert got("penn-treebank", tmp_path / "ptb.train.txt", tmp_path / "other") == 2


def test_imdb(tmp_path: Path) -> None:
    reviews = {
        "train/pos/10_9.txt": 'Good, "very"<br />good.',
        "train/pos/2_8.txt": "Fine.",
        "train/neg/0_1.txt": "Bad é.",
        "test/neg/0_2.txt": "Worse.",
        "test/pos/0_7.txt": "Better.",
        "train/unsup/1_0.txt": "Who\nknows.",
        "train/urls_pos.txt": "http://nowhere",
    }
    source = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        for name, text in reviews.items():
            entry = tarfile.TarInfo(f"aclImdb/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert got("imdb", source, tmp_path / "out") == 0
    with (tmp_path / "out/train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["text", "label"],
        ["Bad é.", "neg"],
        ['Good, "very"<br />good.', "pos"],
        ["Fine.", "pos"],
    ]
    assert (tmp_path / "out/unsup.txt").read_text() == "Who knows.\n"
    assert set(read(tmp_path / "out")) == {"train.csv", "test.csv", "unsup.txt"}


def test_ag_news(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('"3","Up","Oil, ""dear"" oil"\n"4","Chips","Small"\n')
    (tmp_path / "test.csv").write_text('"1","War","Far"\n"2","Goal","One"\n')
    sources = tuple(
        replace(each, sha256=sha256(tmp_path / each.name)) for each in CORPORA["ag-news"].sources
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CORPORA, "ag-news", replace(CORPORA["ag-news"], sources=sources))
        assert got("ag-news", tmp_path, tmp_path / "out") == 0
    assert (tmp_path / "out/train.csv").read_text() == (
        'text,label\n"Up Oil, ""dear"" oil",Business\nChips Small,Sci/Tech\n'
    )
    assert (tmp_path / "out/test.csv").read_text() == "text,label\nWar Far,World\nGoal One,Sports\n"
    # Without the right hashes it is refused.
    assert got("ag-news", tmp_path, tmp_path / "again") == 3
    assert not (tmp_path / "again").exists()


def test_a_file_of_another_hash_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input.txt").write_text("not Shakespeare\n")
    words = ["tiny-shakespeare", "--from", str(tmp_path / "input.txt"), "--out"]
    assert get_corpus.main([*words, str(tmp_path / "out")]) == 3
    assert "86c4e6aa9db7" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]


def test_a_broken_archive_leaves_nothing(tmp_path: Path) -> None:
    source = zipped(tmp_path / "w.zip", {"wiki.train.tokens": b"a", "wiki.valid.tokens": b"b"})
    assert got("wikitext-2", source, tmp_path / "out") == 3  # no test part
    source.write_bytes(source.read_bytes()[:50])
    assert got("wikitext-2", source, tmp_path / "out") == 3
    source.write_bytes(b"no archive")
    assert got("imdb", source, tmp_path / "out") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["w.zip"]


def test_what_is_there_is_overwritten_by_force_alone(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("0123456789")
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.txt").write_text("mine")
    (out / "notes.md").write_text("mine too")
    assert got("tiny-shakespeare", tmp_path / "input.txt", out) == 2
    assert (out / "train.txt").read_text() == "mine"
    assert got("tiny-shakespeare", tmp_path / "input.txt", out, "--force") == 0
    assert read(out) == {"train.txt": b"012345678", "valid.txt": b"9", "notes.md": b"mine too"}


def test_fetched_from_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "input.txt"
    source.write_text("0123456789")
    known = Source(source.as_uri(), sha256(source))
    corpus = replace(CORPORA["tiny-shakespeare"], sources=(known,))
    monkeypatch.setitem(CORPORA, "tiny-shakespeare", corpus)
    assert get_corpus.main(["tiny-shakespeare", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/train.txt").read_text() == "012345678"
    source.unlink()
    assert get_corpus.main(["tiny-shakespeare", "--out", str(tmp_path / "two")]) == 1
    assert "--from input.txt" in capsys.readouterr().err and not (tmp_path / "two").exists()


def test_without_a_name_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert get_corpus.main([]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(CORPORA)
