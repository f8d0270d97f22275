"""The token cache: what was put in comes out, and damage is noticed."""

import hashlib
import io
import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import CharlmError, DataError, MachineError, RunError, UsageError
from charlm.registry import TOKENIZERS
from charlm.text import direction, token_cache
from charlm.text.corpus import corpus_fingerprint
from charlm.text.counts import count_text
from charlm.text.direction import reversed_units
from charlm.text.token_cache import (
    Manifest,
    TokenCache,
    prepare,
    prepare_whole,
)
from charlm.text.tokenizers.base import Tokenizer, TokenizerSettings, fit_tokenizer

CHAR = TokenizerSettings(kind="char")
BYTE = TokenizerSettings(kind="byte")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r a"), max_size=25)


def write(folder: Path, texts: list[str]) -> Path:
    place = folder / "texts"
    place.mkdir()
    for number, text in enumerate(texts):
        (place / f"{number:03}.txt").write_bytes(text.encode())
    return place


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=4),
    size=st.integers(1, 7),
    kind=st.sampled_from([CHAR, BYTE]),
    valid=st.sampled_from(["0", "0.1", "0.35"]),
    test=st.sampled_from(["0", "0.2"]),
)
def test_parts_are_the_text_cut_exactly(
    texts: list[str],
    size: int,
    kind: TokenizerSettings,
    valid: str,
    test: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    texts = [text.removeprefix("\ufeff") for text in texts]
    if any(text.startswith("\ufeff") for text in texts):
        return
    whole = "".join(texts)
    place = write(folder, texts)
    arguments = {"folder": folder / "c", "fit_or_tokenizer": kind}
    fractions = {"valid_fraction": valid, "test_fraction": test, "block_characters": size}
    try:
        cache, tokenizer = prepare([place], **arguments, **fractions)  # type: ignore[arg-type]
    except DataError:
        assert len(whole) * (1 - float(valid) - float(test)) < 1.0001
        return
    cache.verify()
    start = 0
    for part, entry in cache.manifest.parts.items():
        assert entry.span[0] == start
        start = entry.span[1]
        found = cache.parts[part]
        text = whole[slice(*entry.span)]
        assert tokenizer.decode(found.ids) == text
        borders = [*found.documents.tolist(), len(found.ids)]
        documents = [tokenizer.decode(found.ids[a:b]) for a, b in pairwise(borders)]
        assert documents == pieces(texts, *entry.span)
        assert found.counts == count_text(documents)
        assert found.ids.dtype == tokenizer.dtype and not found.ids.flags.writeable
    assert start == len(whole)
    fitted = fit_tokenizer(kind, [whole[slice(*cache.manifest.parts["train"].span)]])
    assert tokenizer.to_files() == fitted.to_files()
    assert {path.name for path in (folder / "c").iterdir()} == {"manifest.json"} | {
        f"{part}.{what}" for part in cache.parts for what in ("ids", "documents")
    }


def pieces(texts: list[str], start: int, stop: int) -> list[str]:
    place, found = 0, []
    for text in texts:
        piece = text[max(start - place, 0) : max(stop - place, 0)]
        found += [piece] if piece else []
        place += len(text)
    return found


def small(folder: Path) -> TokenCache:
    place = write(folder, ["aab\n", "", "aÄcc\nde"])
    return prepare([place], folder=folder / "c", fit_or_tokenizer=CHAR, valid_fraction=0.2)[0]


def test_a_small_cache_to_the_letter(tmp_path: Path) -> None:
    cache = small(tmp_path)
    # 11 characters, of which the first floor(11 * 0.8) = 8 are for training: \n a c known.
    train = np.array([1, 1, 3, 4 + 0x62, 0, 1, 3, 4 + 0xC3, 4 + 0x84, 2, 2], "<u2")
    assert (tmp_path / "c" / "train.ids").read_bytes() == train.tobytes()
    documents = (tmp_path / "c" / "train.documents").read_bytes()
    assert documents == np.array([0, 5], "<i8").tobytes()
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["format"] == 1 and manifest["dtype"] == "uint16"
    assert manifest["vocabulary_size"] == 260
    assert manifest["parts"]["train"] == {
        "role": "train",
        "span": [0, 8],
        "tokens": 11,
        "documents": 2,
        "counts": {"characters": 8, "bytes": 9, "words": 2, "line_breaks": 1},
        "ids_sha256": hashlib.sha256(train.tobytes()).hexdigest(),
        "documents_sha256": hashlib.sha256(documents).hexdigest(),
    }
    assert manifest["parts"]["valid"]["span"] == [8, 11]
    assert manifest["sources"][2] == {
        "name": str(tmp_path / "texts" / "002.txt"),
        "role": "train",
        "characters": 7,
        "bytes": 8,
        "sha256": hashlib.sha256("aÄcc\nde".encode()).hexdigest(),
    }
    stored = (b'{\n "characters": "\\nac",\n "format": 1,\n "kind": "char"\n}\n',)
    assert manifest["tokenizer_sha256"] == {"tokenizer.json": hashlib.sha256(stored[0]).hexdigest()}
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "c").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert cache.parts["train"].documents.dtype == np.int64


def test_sources_of_their_own_take_the_place_of_fractions(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / name).write_text(f"the text for {name}" * 5)
    cache, tokenizer = prepare(
        [tmp_path / "train"],
        folder=tmp_path / "c",
        fit_or_tokenizer=BYTE,
        valid=[tmp_path / "valid"],
        test=["-"],
        valid_fraction="0.5",
        test_fraction="0.5",
        stdin=io.BytesIO(b"from a pipe"),
    )
    texts = {part: tokenizer.decode(cache.parts[part].ids) for part in cache.parts}
    assert texts == {
        "train": "the text for train" * 5,
        "valid": "the text for valid" * 5,
        "test": "from a pipe",
    }
    cache, tokenizer = prepare(
        [tmp_path / "train"],
        folder=tmp_path / "c",
        fit_or_tokenizer=BYTE,
        valid=[tmp_path / "valid"],
        test_fraction="0.5",
    )
    assert list(cache.parts) == ["train", "valid", "test"]
    assert cache.manifest.parts["test"].span == (45, 90)
    assert tokenizer.decode(cache.parts["valid"].ids) == "the text for valid" * 5


def test_a_second_text_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    small(tmp_path)
    tokenizer = fit_tokenizer(CHAR, ["xxyy"])
    (tmp_path / "t").write_text("xyz")
    steps: list[int] = []
    part = prepare_whole([tmp_path / "t"], tokenizer, tmp_path / "c", progress=steps.append)
    assert tokenizer.decode(part.ids) == "xyz" and part.documents.tolist() == [0]
    assert sorted(os.listdir(tmp_path / "c")) == ["manifest.json", "train.documents", "train.ids"]
    assert sum(steps) == 3


def test_a_preparation_that_fails_midway_leaves_no_cache(tmp_path: Path) -> None:
    small(tmp_path)

    def fail(characters: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([tmp_path / "texts"], folder=tmp_path / "c", fit_or_tokenizer=BYTE, progress=fail)
    with pytest.raises(RunError, match="no token cache"):
        TokenCache.open(tmp_path / "c")
    cache, _ = prepare([tmp_path / "texts"], folder=tmp_path / "c", fit_or_tokenizer=BYTE)
    cache.verify()


def test_a_bad_text_leaves_the_old_cache_alone(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "bad").write_bytes(b"\xff")
    with pytest.raises(DataError):
        prepare([tmp_path / "bad"], folder=tmp_path / "c", fit_or_tokenizer=BYTE)
    TokenCache.open(tmp_path / "c").verify()


def test_the_fingerprint_is_the_texts_and_not_the_names(tmp_path: Path) -> None:
    cache = small(tmp_path)
    place = tmp_path / "texts"
    known = cache.manifest.corpus_sha256
    assert corpus_fingerprint([place]) == known
    moved = tmp_path / "moved"
    place.rename(moved)
    assert corpus_fingerprint([moved]) == known
    assert corpus_fingerprint([moved], valid=[moved]) != known
    assert corpus_fingerprint([moved], valid=[moved]) != corpus_fingerprint([moved], test=[moved])
    assert corpus_fingerprint([moved / "000.txt", moved / "002.txt"]) != known
    (moved / "002.txt").write_bytes("aÄcc\ndf".encode())
    assert corpus_fingerprint([moved]) != known
    # The same characters, cut into documents elsewhere, are another corpus.
    (moved / "000.txt").write_text("aab")
    (moved / "002.txt").write_text("\naÄcc\nde")
    assert corpus_fingerprint([moved]) != known


def test_every_flipped_bit_of_the_tokens_is_found(tmp_path: Path) -> None:
    small(tmp_path)
    random = np.random.default_rng(0)
    for name in ("train.ids", "train.documents", "valid.ids", "valid.documents"):
        path = tmp_path / "c" / name
        good = path.read_bytes()
        for _ in range(20):
            bad = bytearray(good)
            bad[random.integers(len(bad))] ^= 1 << random.integers(8)
            path.write_bytes(bad)
            with pytest.raises(RunError, match=name):
                TokenCache.open(tmp_path / "c").verify()
        path.write_bytes(good[:-1])
        with pytest.raises(RunError, match=name):
            TokenCache.open(tmp_path / "c")
        path.write_bytes(good + b"\0")
        with pytest.raises(RunError, match=name):
            TokenCache.open(tmp_path / "c")
        path.write_bytes(good)
    TokenCache.open(tmp_path / "c").verify()


def test_links_and_missing_files_are_refused(tmp_path: Path) -> None:
    small(tmp_path)
    path = tmp_path / "c" / "train.ids"
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"train\.ids: No such file"):
        TokenCache.open(tmp_path / "c")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="not a plain file"):
        TokenCache.open(tmp_path / "c")


def altered(manifest: dict[str, object], path: str, value: object) -> bytes:
    place: dict[str, object] = manifest
    *keys, last = path.split("/")
    for key in keys:
        place = place[key]  # type: ignore[assignment]
    place[last] = value
    return json.dumps(manifest | {"sha256": ""}).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 2),
        ("format", 0),
        ("extra", 1),
        ("dtype", "uint8"),
        ("dtype", "object"),
        ("vocabulary_size", 1 << 40),
        ("vocabulary_size", -1),
        ("parts/train/tokens", 1 << 60),
        ("parts/train/tokens", -11),
        ("parts/train/tokens", 11.5),
        ("parts/train/documents", 0),
        ("parts/train/counts", {"characters": "8"}),
        ("parts/../train", {}),
        ("parts", []),
    ],
)
def test_a_hostile_manifest_is_refused(tmp_path: Path, path: str, value: object) -> None:
    small(tmp_path)
    place = tmp_path / "c" / "manifest.json"
    manifest = json.loads(place.read_text())
    if path == "parts/../train":
        manifest["parts"]["../train"] = manifest["parts"]["train"]
        for name in ("train.ids", "train.documents"):
            (tmp_path / name).write_bytes((tmp_path / "c" / name).read_bytes())
        place.write_text(json.dumps(manifest | {"sha256": ""}))
    else:
        place.write_bytes(altered(manifest, path, value))
    with pytest.raises(RunError):
        TokenCache.open(tmp_path / "c")


def test_a_digit_of_the_manifest_that_flips_is_found(tmp_path: Path) -> None:
    """One that fits everything else would only make the figures wrong."""
    small(tmp_path)
    place = tmp_path / "c" / "manifest.json"
    raw = place.read_text()
    place.write_text(raw.replace('"characters": 8', '"characters": 9', 1))
    with pytest.raises(RunError, match="does not match its own SHA-256"):
        TokenCache.open(tmp_path / "c")


def test_a_manifest_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    small(tmp_path)
    place = tmp_path / "c" / "manifest.json"
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(RunError, match=r"manifest\.json"):
        TokenCache.open(tmp_path / "c")


def test_a_token_beyond_the_vocabulary_is_found_by_verify(tmp_path: Path) -> None:
    cache = small(tmp_path)
    largest = int(cache.parts["train"].ids.max())
    place = tmp_path / "c" / "manifest.json"
    manifest = json.loads(place.read_text())
    place.write_bytes(altered(manifest, "vocabulary_size", max(largest, 257)))
    if largest >= 257:
        pytest.fail("the example must hold small ids only")
    ids = np.fromfile(tmp_path / "c" / "train.ids", "<u2")
    ids[0] = 257
    (tmp_path / "c" / "train.ids").write_bytes(ids.tobytes())
    digest = hashlib.sha256(ids.tobytes()).hexdigest()
    place.write_bytes(altered(manifest, "parts/train/ids_sha256", digest))
    with pytest.raises(RunError, match="not below 257"):
        TokenCache.open(tmp_path / "c").verify()


def test_offsets_must_rise(tmp_path: Path) -> None:
    small(tmp_path)
    path = tmp_path / "c" / "train.documents"
    for offsets in ([0, 0], [1, 5], [0, 11], [0, -1]):
        path.write_bytes(np.array(offsets, "<i8").tobytes())
        with pytest.raises(RunError, match="must rise"):
            TokenCache.open(tmp_path / "c")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"valid_fraction": "1"}, UsageError),
        ({"valid_fraction": "0.5", "test_fraction": "0.5"}, UsageError),
        ({"encoding": "nonsense"}, UsageError),
        ({"errors": "ignore"}, UsageError),
        ({"fit_or_tokenizer": TokenizerSettings(kind="byte", min_count=2)}, UsageError),
        ({"valid": ["nowhere.txt"]}, DataError),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], error: type[CharlmError]
) -> None:
    (tmp_path / "t").write_text("some text")
    arguments = {"folder": tmp_path / "c", "fit_or_tokenizer": CHAR, **options}
    with pytest.raises(error):
        prepare([tmp_path / "t"], **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "c").exists() or list((tmp_path / "c").iterdir()) == []


def test_one_character_is_too_little_to_split(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x")
    with pytest.raises(DataError, match="training part is empty") as caught:
        prepare([tmp_path / "t"], folder=tmp_path / "c", fit_or_tokenizer=CHAR)
    assert "2 or more" in caught.value.hint


def test_a_folder_that_is_a_file_is_the_machines_trouble(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("some text")
    with pytest.raises(MachineError, match=str(tmp_path / "t")):
        prepare([tmp_path / "t"], folder=tmp_path / "t", fit_or_tokenizer=CHAR)


def test_the_manifest_says_what_the_fingerprint_says_for_every_role(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("some text")
    (tmp_path / "v").write_text("more text")
    cache, _ = prepare(
        [tmp_path / "t"], folder=tmp_path / "c", fit_or_tokenizer=CHAR, valid=[tmp_path / "v"]
    )
    assert isinstance(cache.manifest, Manifest)
    assert cache.manifest.corpus_sha256 == corpus_fingerprint(
        [tmp_path / "t"], valid=[tmp_path / "v"]
    )


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=4),
    size=st.integers(1, 7),
    kind=st.sampled_from([CHAR, BYTE]),
    valid=st.sampled_from(["0", "0.35"]),
)
def test_backward_each_document_is_stored_from_its_end(
    texts: list[str],
    size: int,
    kind: TokenizerSettings,
    valid: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The same parts, documents, counts and tokenizer; only the order is another."""
    folder = tmp_path_factory.mktemp("cache")
    texts = [text for text in texts if not text.startswith("\ufeff")]
    if len("".join(texts)) < 4:
        return
    place = write(folder, texts)

    def prepared(way: str) -> tuple[TokenCache, Tokenizer]:
        with pytest.MonkeyPatch.context() as patch:
            whole = direction.from_the_end
            patch.setattr(
                token_cache, "from_the_end", lambda ids, grammar, at: whole(ids, grammar, at, size)
            )
            return prepare(
                [place],
                folder=folder / way,
                fit_or_tokenizer=kind,
                valid_fraction=valid,
                block_characters=size,
                direction=way,
            )

    (ahead, tokenizer), (back, same) = prepared("forward"), prepared("backward")
    assert tokenizer.to_files() == same.to_files()
    assert (ahead.manifest.direction, back.manifest.direction) == ("forward", "backward")
    assert list(ahead.parts) == list(back.parts)
    back.verify("backward")
    for name, part in ahead.parts.items():
        found = back.parts[name]
        assert found.counts == part.counts
        assert np.array_equal(found.documents, part.documents)
        for a, b in pairwise([*part.documents.tolist(), len(part.ids)]):
            wanted = reversed_units(part.ids[a:b], tokenizer.grammar)
            assert np.array_equal(found.ids[a:b], wanted)
    assert sorted(os.listdir(folder / "backward")) == sorted(os.listdir(folder / "forward"))


def test_a_cache_that_runs_the_other_way_is_refused(tmp_path: Path) -> None:
    cache = small(tmp_path)
    cache.verify("forward")
    with pytest.raises(RunError, match="run forward, and the run's model reads backward"):
        cache.verify("backward")


def test_a_cache_from_before_there_were_directions_runs_forward(tmp_path: Path) -> None:
    cache = small(tmp_path)
    place = tmp_path / "c" / "manifest.json"
    manifest = json.loads(place.read_text())
    del manifest["direction"], manifest["sha256"]
    place.write_text(json.dumps(manifest))
    TokenCache.open(cache.folder).verify("forward")
    place.write_bytes(altered(manifest, "direction", "sideways"))
    with pytest.raises(RunError, match="direction"):
        TokenCache.open(cache.folder)


def test_a_whole_text_can_be_prepared_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("the end")
    tokenizer = fit_tokenizer(CHAR, ["the end"] * 2)
    part = prepare_whole([tmp_path / "t"], tokenizer, tmp_path / "c", direction="backward")
    assert tokenizer.decode(part.ids) == "dne eht"


def test_memory_stays_flat_for_a_document_read_from_its_end(tmp_path: Path) -> None:
    import tracemalloc

    (tmp_path / "t").write_bytes(b"0123456789abcdef" * (1 << 20))  # 16 MiB, one line
    tokenizer = fit_tokenizer(BYTE, [""])
    tracemalloc.start()
    try:
        prepare_whole([tmp_path / "t"], tokenizer, tmp_path / "c", direction="backward")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    tokens = (tmp_path / "c" / "train.ids").read_bytes()
    assert tokens == b"fedcba9876543210" * (1 << 20)
    assert most < 64 << 20


@pytest.mark.parametrize("kind", list(TOKENIZERS))
def test_a_line_longer_than_a_block_comes_back(tmp_path: Path, kind: str) -> None:
    texts = ["one two, three " * 40 + "\nfour\n", "five  six" * 30, "\n\nseven"]
    place = write(tmp_path, texts)
    cache, tokenizer = prepare(
        [place],
        folder=tmp_path / "c",
        fit_or_tokenizer=TokenizerSettings(kind=kind),
        valid_fraction=0,
        block_characters=37,
    )
    part = cache.parts["train"]
    borders = [*part.documents.tolist(), len(part.ids)]
    assert [tokenizer.decode(part.ids[a:b]) for a, b in pairwise(borders)] == texts


def test_a_text_of_which_nothing_is_kept_is_refused(tmp_path: Path) -> None:
    place = write(tmp_path, ["a b\n" * 20, " \t "])
    settings = TokenizerSettings(kind="word", word_oov="unk")
    with pytest.raises(DataError, match="The valid text is a line of whitespace"):
        prepare([place], folder=tmp_path / "c", fit_or_tokenizer=settings, valid_fraction=2 / 83)


def test_what_the_tokenizer_has_to_say_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    settings = TokenizerSettings(kind="bpe", lowercase=True)
    prepare(
        [write(tmp_path, ["The Cat\n" * 9])],
        folder=tmp_path / "c",
        fit_or_tokenizer=settings,
        say=said.append,
    )
    assert any("--lowercase" in message for message in said)
    assert any("bpe: " in message for message in said)


def test_fitting_can_be_broken_off(tmp_path: Path) -> None:
    """Before the next block is looked at, not after the last."""
    place = write(tmp_path, ["the cat\n" * 9])
    seen: list[int] = []

    def interrupted(characters: int) -> None:
        seen.append(characters)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(
            [place],
            folder=tmp_path / "c",
            fit_or_tokenizer=TokenizerSettings(kind="word"),
            progress=interrupted,
            block_characters=8,
        )
    assert seen == [0, 0, 0]
