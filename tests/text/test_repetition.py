"""What stands only once in a text, against a plain count."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.text import repetition
from charlm.text.repetition import seen_once


def counted(ids, length):
    grams = Counter(tuple(ids[i : i + length]) for i in range(len(ids) - length + 1))
    return sum(n for n in grams.values() if n == 1) / sum(grams.values())


@given(
    st.lists(st.integers(0, 3) | st.integers(0, 2**31), min_size=1, max_size=60),
    st.integers(1, 8),
    st.sampled_from([1, 7, 2**20]),
)
def test_as_a_plain_count_in_pieces_of_any_size(ids, length, piece):
    array = np.array(ids, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repetition, "_PIECE", piece)
        found = seen_once(array, length)
    assert found == (counted(ids, length) if length <= len(ids) else 1.0)


def test_a_long_text_is_judged_by_a_fair_share_of_its_n_grams(monkeypatch):
    random = np.random.default_rng(0)
    ids = random.zipf(1.5, 100_000).clip(max=500).astype(np.uint16)
    whole = seen_once(ids, 3)
    monkeypatch.setattr(repetition, "_KEPT", 5_000)
    assert 0.05 < whole < 0.95
    assert seen_once(ids, 3) == pytest.approx(whole, abs=0.05)
    # A draw of places instead of n-grams would leave most that occur twice alone.
    twice = np.tile(random.integers(0, 2**15, 50_000), 2)
    assert seen_once(twice, 3) < 0.001
