"""Batches of whole texts: each once an epoch, of like length, the same at every call."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.training.text_batches import TextBatches, cuts, side_by_side

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(1, 9), st.integers(0, 5))
def test_each_text_is_once_in_an_epoch(lengths, batch_size, epoch):
    batches = TextBatches(np.array(lengths), batch_size, seed=3)
    steps = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
    found = [batches.batch(step) for step in steps]
    assert sorted(np.concatenate([one.numbers for one in found])) == list(range(len(lengths)))
    # None is alone in a batch: what tells texts of a batch apart would be nothing.
    fewest = min(2, batch_size, len(lengths))
    assert all(fewest <= len(one.numbers) <= batch_size + 1 for one in found)
    assert len(found) == 1 + len(cuts(len(lengths), batch_size))
    assert sum(one.share for one in found) == pytest.approx(len(lengths) / batch_size)
    assert found[-1].epoch == epoch + 1
    anew = TextBatches(np.array(lengths), batch_size, seed=3).batch(steps[-1])
    assert np.array_equal(anew.numbers, found[-1].numbers)


def test_epochs_differ_and_little_is_padded():
    lengths = np.random.default_rng(1).integers(1, 1000, 2000)
    batches = TextBatches(lengths, 32, seed=1)
    first, second = (batches.batch(epoch * batches.per_epoch).numbers for epoch in (0, 1))
    assert set(first) != set(second)
    assert 0 < batches.padding() < 0.15
    mixed = [n.max() * len(n) for n in np.split(lengths[:1984], 62)]
    assert 1 - lengths[:1984].sum() / sum(mixed) > 0.4  # what it would be in the texts' order


def test_texts_side_by_side():
    texts = side_by_side([np.array([1, 2, 3]), np.array([4])], filling=9)
    assert texts.ids.tolist() == [[1, 4], [2, 9], [3, 9]]
    assert texts.lengths.tolist() == [3, 1]
