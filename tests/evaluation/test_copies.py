"""Copies in a text: against looking for every passage by hand, whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.evaluation import copies
from charlm.evaluation.copies import codes_of, copied, longest

texts = st.lists(st.text("abé😀", max_size=25), min_size=1, max_size=3)


def by_hand(text: str, documents: list[str], length: int) -> list[bool]:
    found = [False] * len(text)
    for begin in range(len(text) - length + 1):
        if any(text[begin : begin + length] in document for document in documents):
            found[begin : begin + length] = [True] * length
    return found


def in_blocks(documents: list[str]):
    return lambda: (iter([text[i : i + 3] for i in range(0, len(text), 3)]) for text in documents)


@settings(deadline=None, max_examples=60)
@given(texts, texts, st.integers(1, 9))
def test_as_by_hand(probes, documents, length):
    found = copied([codes_of(text) for text in probes], in_blocks(documents), length)
    assert [list(truths) for truths in found] == [by_hand(t, documents, length) for t in probes]


@settings(deadline=None, max_examples=60)
@given(texts, texts)
def test_the_longest_copy(probes, documents):
    found = longest([codes_of(text) for text in probes], in_blocks(documents))
    pieces = {t[i:j] for t in probes for i in range(len(t)) for j in range(i + 1, len(t) + 1)}
    assert found == max((len(p) for p in pieces if any(p in d for d in documents)), default=0)


@pytest.mark.parametrize(
    ("limit", "size"),
    [*(("_BLOCK", n) for n in (1, 7, 64)), *(("_COMPARED", n) for n in (1, 60, 61))],
)
def test_blocks_and_parts_of_any_size_hide_nothing(monkeypatch, limit, size):
    monkeypatch.setattr(copies, limit, size)
    draw = np.random.default_rng(1)
    text = "".join(draw.choice(list("ab"), 400))
    probe = text[100:160] + "c" + text[290:330]
    (found,) = copied([codes_of(probe)], in_blocks([text]), 30)
    assert list(found) == [True] * 60 + [False] + [True] * 40


def test_hashes_alone_are_not_believed(monkeypatch):
    """All windows with one hash: what stands there decides."""
    monkeypatch.setattr(
        copies, "_hashes", lambda codes, n: np.zeros(max(len(codes) - n + 1, 0), np.uint64)
    )
    assert not copied([codes_of("abc")], in_blocks(["xyz"]), 3)[0].any()
