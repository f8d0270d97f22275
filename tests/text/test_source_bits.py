"""The bits that come with a text: those of this text, whole, or none at all."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from charlm.errors import RunError
from charlm.text.source_bits import source_bits
from charlm.text.token_cache import TokenCache, prepare
from charlm.text.tokenizers.base import TokenizerSettings

TEXT = "ab\n\ncafé\n\n"  # two pieces, an empty line after each
ROWS = "index\toffset\tlength\tbits\n0\t0\t2\t1.5\n1\t4\t4\t2.25\n"


def sums(texts: dict[str, str]) -> str:
    return "".join(
        f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in texts.items()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """valid.txt and test.txt with their bits, and other.txt without."""
    (tmp_path / "bits").mkdir()
    for name in ("valid", "test"):
        (tmp_path / f"{name}.txt").write_text(TEXT, "utf-8")
        (tmp_path / "bits" / f"{name}.tsv").write_text(ROWS, "utf-8")
    (tmp_path / "other.txt").write_text(TEXT, "utf-8")
    (tmp_path / "bits" / "SHA256SUMS").write_text(
        sums({"test.txt": TEXT, "valid.txt": TEXT}), "utf-8"
    )
    return tmp_path


def bits_of(text: Path) -> tuple[float | None, list[str]]:
    said: list[str] = []
    content = text.read_text("utf-8")
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return source_bits(text, len(content), sha256, said.append), said


def test_sum_over_the_pieces(folder: Path) -> None:
    assert bits_of(folder / "valid.txt") == (3.75, [])


def test_more_columns_may_follow(folder: Path) -> None:
    rows = "".join(f"{row}\tkind\n" for row in ROWS.splitlines())
    (folder / "bits" / "valid.tsv").write_text(rows, "utf-8")
    assert bits_of(folder / "valid.txt") == (3.75, [])


def test_no_table_no_bits_and_no_words(folder: Path) -> None:
    assert bits_of(folder / "other.txt") == (None, [])


def test_a_changed_text_has_no_limit(folder: Path) -> None:
    (folder / "valid.txt").write_text(TEXT.replace("ab", "ba"), "utf-8")
    bits, (said,) = bits_of(folder / "valid.txt")
    assert bits is None and "SHA-256" in said and "valid.txt" in said
    assert "ba" not in said.replace("valid", "")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ROWS.replace("4\t4\t2.25", "4\t7\t2.25"), "line 3 does not fit a text of 10 characters"),
        (ROWS.replace("4\t4\t2.25", "1\t4\t2.25"), "line 3 does not fit"),  # over the first
        (ROWS.replace("2.25", "nan"), "line 3 does not fit"),
        (ROWS.replace("2.25", "inf"), "line 3 does not fit"),
        (ROWS.replace("1.5", "-1.5"), "line 2 does not fit"),
        (ROWS.replace("1.5", "many"), "line 2 is no row"),
        (ROWS.replace("\t1.5", ""), "line 2 is no row"),
        (ROWS.replace("bits\n", "nats\n"), "columns"),
        (ROWS.split("\n")[0], "rows"),
        ("", "columns"),
    ],
)
def test_a_table_that_is_none_gives_no_limit(folder: Path, rows: str, why: str) -> None:
    (folder / "bits" / "valid.tsv").write_text(rows, "utf-8")
    bits, (said,) = bits_of(folder / "valid.txt")
    assert bits is None and why in said


def test_without_hashes_there_is_no_limit(folder: Path) -> None:
    (folder / "bits" / "SHA256SUMS").unlink()
    bits, (said,) = bits_of(folder / "valid.txt")
    assert bits is None and "SHA256SUMS" in said


def cached(tmp_path: Path, sources: list[Path], said: list[str], **how: Any) -> TokenCache:
    settings = how.pop("settings", TokenizerSettings(kind="char", min_count=1))
    prepare(
        sources,
        folder=tmp_path / "cache",
        fit_or_tokenizer=settings,
        say=said.append,
        **how,
    )
    return TokenCache.open(tmp_path / "cache")  # as it is remembered


def test_a_part_that_is_whole_documents_has_their_bits(folder: Path, tmp_path: Path) -> None:
    valid, test, other = (folder / f"{name}.txt" for name in ("valid", "test", "other"))
    said: list[str] = []
    cache = cached(tmp_path, [other], said, valid=[valid, test], test=[other, test])
    assert cache.parts["valid"].source_bits == 7.5
    assert cache.parts["test"].source_bits is None  # of one of its documents none are known
    assert cache.parts["train"].source_bits is None
    # Nothing is written of what is not known.
    assert (tmp_path / "cache" / "manifest.json").read_text().count('"source_bits"') == 3


def test_a_part_that_is_cut_off_has_none(folder: Path, tmp_path: Path) -> None:
    cache = cached(tmp_path, [folder / "valid.txt"], [], valid_fraction=0.5)
    assert cache.parts["train"].source_bits is None
    assert cache.parts["valid"].source_bits is None
    cache = cached(tmp_path, [folder / "valid.txt"], [], valid_fraction=0)
    assert cache.parts["train"].source_bits == 3.75


def test_bits_below_zero_are_damage(folder: Path, tmp_path: Path) -> None:
    cached(tmp_path, [folder / "valid.txt"], [], valid_fraction=0)
    manifest = tmp_path / "cache" / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("3.75", "-3.75"), "utf-8")
    with pytest.raises(RunError, match="damaged"):
        TokenCache.open(tmp_path / "cache")


def test_a_packed_text_is_the_same_text(folder: Path, tmp_path: Path) -> None:
    packed = folder / "valid.txt.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    cache = cached(tmp_path, [packed], [], valid_fraction=0)
    assert cache.parts["train"].source_bits == 3.75


@pytest.mark.parametrize(
    "settings",
    [
        TokenizerSettings(kind="char", lowercase=True),
        TokenizerSettings(kind="word", word_oov="unk", min_count=1),
    ],
    ids=["lowercase", "unk"],
)
def test_a_tokenizer_that_loses_text_has_no_limit(
    folder: Path, tmp_path: Path, settings: TokenizerSettings
) -> None:
    said: list[str] = []
    sources = [folder / "valid.txt"]
    cache = cached(tmp_path, sources, said, valid_fraction=0, settings=settings)
    assert cache.parts["train"].source_bits is None
    assert sum("No limit" in each for each in said) == 1
    said.clear()
    cached(tmp_path, [folder / "other.txt"], said, valid_fraction=0, settings=settings)
    assert not any("No limit" in each for each in said)
