"""Reading from the end: units in reverse order, whatever the tokenizer, in memory and on disk."""

import functools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.registry import TOKENIZERS
from charlm.text.direction import (
    BACKWARD,
    FORWARD,
    from_the_end,
    in_reading_order,
    reversal,
    reversed_units,
)
from charlm.text.tokenizers.base import Tokenizer, TokenizerSettings, fit_tokenizer

TRAINING = "the cat sat on the mat.\nÄäÄä ein Satz\n\n中文中文 \U0001f600\U0001f600\n" * 2
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "the cat\nä中Ω\U0001f600\U00010348", max_size=40
)
every_kind = pytest.mark.parametrize("kind", list(TOKENIZERS))


@functools.cache
def fitted(kind: str) -> Tokenizer:
    return fit_tokenizer(TokenizerSettings(kind=kind), [TRAINING])


def units(tokenizer: Tokenizer, ids: np.ndarray) -> list[tuple[int, ...]]:
    """The units by the automaton alone: one ends wherever it is free again."""
    found: list[tuple[int, ...]] = []
    unit: list[int] = []
    state = 0
    for token in ids.tolist():
        unit.append(token)
        state = int(tokenizer.grammar.next_state[state, token])
        if state == 0:
            found.append(tuple(unit))
            unit = []
    assert not unit
    return found


@every_kind
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
@example(text="")
@example(text="Ω")
@example(text="𐍈a聞\n𐍈")
def test_units_are_reversed_and_keep_their_symbols(kind: str, text: str) -> None:
    tokenizer = fitted(kind)
    ids = tokenizer.encode(text)
    found = reversed_units(ids, tokenizer.grammar)
    assert found.dtype == ids.dtype
    assert units(tokenizer, found) == units(tokenizer, ids)[::-1]
    assert Counter(units(tokenizer, found)) == Counter(units(tokenizer, ids))
    assert np.array_equal(reversed_units(found, tokenizer.grammar), ids)
    before, final = tokenizer.grammar.run(np.zeros(1, np.uint8), found[:, None])
    assert tokenizer.grammar.legal[before, found[:, None]].all()
    assert final.tolist() == [0]


@every_kind
def test_what_begins_a_unit_stands_nowhere_else(kind: str) -> None:
    legal = fitted(kind).grammar.legal
    assert not (legal[0] & legal[1:].any(axis=0)).any()


@every_kind
@settings(max_examples=60, deadline=None)
@given(text=TEXTS, cut=st.integers(0, 60))
def test_no_token_is_lost_where_a_unit_is_cut(kind: str, text: str, cut: int) -> None:
    tokenizer = fitted(kind)
    ids = tokenizer.encode(text)
    for part in (ids[:cut], ids[cut:]):
        places = reversal(part, tokenizer.grammar)
        assert sorted(places.tolist()) == list(range(len(part)))


def test_characters_of_a_plain_text_are_simply_reversed() -> None:
    tokenizer = fitted("char")
    ids = tokenizer.encode("the cat\n")
    assert np.array_equal(in_reading_order(ids, tokenizer.grammar, BACKWARD), ids[::-1])
    assert in_reading_order(ids, tokenizer.grammar, FORWARD) is ids


def test_a_spelled_character_keeps_its_bytes_in_order() -> None:
    tokenizer = fitted("char")
    ids = tokenizer.encode("aΩt")
    a, marker, first, second, t = ids.tolist()
    assert reversed_units(ids, tokenizer.grammar).tolist() == [t, marker, first, second, a]
    assert tokenizer.decode(reversed_units(ids, tokenizer.grammar)) == "tΩa"


@every_kind
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4), size=st.integers(1, 9))
def test_on_disk_it_is_the_same_in_any_blocks(
    kind: str, texts: list[str], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Blocks shorter than a unit too, and a document that is larger than many of them."""
    tokenizer, folder = fitted(kind), tmp_path_factory.getbasetemp()
    blocks = [tokenizer.encode(text) for text in texts]
    before = os.listdir(folder)
    found = list(from_the_end(iter(blocks), tokenizer.grammar, folder, size))
    whole = np.concatenate([np.zeros(0, tokenizer.dtype), *blocks])
    joined = np.concatenate([np.zeros(0, tokenizer.dtype), *found])
    assert np.array_equal(joined, reversed_units(whole, tokenizer.grammar))
    assert os.listdir(folder) == before
    longest = max(map(len, units(tokenizer, whole)), default=0)
    assert all(len(block) <= max(size, 2 * longest) for block in found)


def test_it_is_read_from_disk_in_blocks_and_held_nowhere(tmp_path: Path) -> None:
    tokenizer = fitted("byte")
    block = tokenizer.encode("abcdefgh" * 512)
    names: list[str] = []

    def blocks():  # type: ignore[no-untyped-def]
        for _ in range(100):
            names.extend(os.listdir(tmp_path))
            yield block

    sizes = [len(found) for found in from_the_end(blocks(), tokenizer.grammar, tmp_path, 1 << 12)]
    assert sizes == [1 << 12] * 100
    assert names == []  # the file has no name: nothing is left of it if the process is killed
