"""What every filter keeps, against brute force over plain Python lists."""

import math
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charlm.generation.filters import (
    REPETITION_WINDOW,
    legal_only,
    min_p,
    pipeline,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
    typical_p,
)
from charlm.generation.settings import SamplingSettings
from charlm.registry import LOGIT_FILTERS, resolve

quick = settings(deadline=None, max_examples=60)


def softmax(logits):
    weights = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def kept(logits):
    return [set(np.flatnonzero(row > -np.inf).tolist()) for row in np.atleast_2d(logits)]


@st.composite
def logit_vectors(draw, dtype=None):
    """Logits with ties and removed tokens, at least one finite."""
    value = st.one_of(
        st.sampled_from([-50.0, -1.0, 0.0, 2.0, -math.inf]), st.floats(-80, 80, width=32)
    )
    values = draw(st.lists(value, min_size=1, max_size=12))
    assume(any(math.isfinite(v) for v in values))
    return np.array(values, dtype or draw(st.sampled_from([np.float32, np.float64])))


def values_of(name):
    """Any value in the range of the setting called `name`."""
    kind, setting = get_args(get_type_hints(SamplingSettings, include_extras=True)[name])[:2]
    if int in (kind, *get_args(kind)):
        return st.integers(int(setting.least), 20)
    return st.floats(setting.least, 10.0 if setting.most is None else setting.most)


every_filter = pytest.mark.parametrize("name", LOGIT_FILTERS)


@every_filter
@quick
@given(st.data())
def test_every_filter_leaves_something_and_adds_nothing(name, data):
    logits = data.draw(logit_vectors())
    before = logits.copy()
    history = data.draw(st.lists(st.integers(0, len(logits) - 1), max_size=5))
    result = resolve(LOGIT_FILTERS, name)(logits, data.draw(values_of(name)), history)

    assert np.array_equal(logits, before), "the input was changed"
    assert result.dtype == logits.dtype and result.shape == logits.shape
    assert not np.isnan(result).any()
    if name not in ("typical_p", "repetition_penalty"):  # the only ones that may change it
        assert int(result.argmax()) == int(before.argmax())
    assert kept(result)[0] <= kept(before)[0]
    assert softmax(result).sum() == pytest.approx(1, abs=1e-12)


@every_filter
@quick
@given(st.data())
def test_a_batch_is_its_rows(name, data):
    row = data.draw(logit_vectors(np.float64))
    rows = np.stack([row, row[::-1], np.zeros_like(row)])
    value = data.draw(values_of(name))
    run = resolve(LOGIT_FILTERS, name)
    history = data.draw(st.lists(st.integers(0, len(row) - 1), max_size=5))
    alone = [run(one, value, history) for one in rows]
    assert np.array_equal(run(rows, value, history), np.stack(alone))


@quick
@given(logit_vectors(), st.integers(1, 20))
def test_top_k_is_the_k_largest_and_their_ties(logits, k):
    finite = logits[np.isfinite(logits)].tolist()
    least = sorted(finite, reverse=True)[: min(k, len(finite))][-1]
    result = top_k(logits, k)
    assert kept(result)[0] == {v for v, z in enumerate(logits.tolist()) if z >= least}
    survivors = np.isfinite(result)
    assert np.array_equal(result[survivors], logits[survivors])


def test_top_k_beyond_the_vocabulary_keeps_everything():
    logits = np.array([3.0, 1.0, 2.0])
    for k in (3, 4, 10**30):
        assert np.array_equal(top_k(logits, k), logits)
    assert kept(top_k(logits, 2)) == [{0, 2}]
    assert kept(top_k(np.array([1.0, 2.0, 1.0, 0.0]), 2)) == [{0, 1, 2}]


@quick
@given(logit_vectors(), st.integers(1, 12))
def test_top_k_is_monotone(logits, k):
    assert kept(top_k(logits, k))[0] <= kept(top_k(logits, k + 1))[0]


@quick
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.floats(0, 1))
def test_top_p_is_the_smallest_set_of_its_mass(counts, p):
    """Probabilities are counts over their sum, so that the reference is exact."""
    total = sum(counts)
    ordered, mass, least = sorted(counts, reverse=True), 0, 0
    for count in ordered:
        assume(abs(mass - p * total) > 1e-9 or p in (0, 1))
        if mass and mass >= p * total:
            break
        mass, least = mass + count, count
    result = top_p(np.log(np.array(counts, np.float64)), p)
    assert kept(result)[0] == {v for v, count in enumerate(counts) if count >= least}


def test_top_p_at_its_ends():
    logits = np.array([0.0, 5.0, -900.0, 5.0, 4.0, -math.inf])
    assert kept(top_p(logits, 0)) == [{1, 3}]
    assert kept(top_p(logits, 1)) == [{0, 1, 2, 3, 4}]
    assert kept(top_p(logits, math.nextafter(1, 0)))[0] <= {0, 1, 2, 3, 4}
    assert kept(top_p(np.log(np.array([0.5, 0.3, 0.2])), 0.6)) == [{0, 1}]


@quick
@given(logit_vectors(), st.floats(0, 1), st.floats(0, 1))
def test_top_p_is_monotone(logits, p, q):
    low, high = sorted((p, q))
    assert kept(top_p(logits, low))[0] <= kept(top_p(logits, high))[0]


@quick
@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.fractions(0, 1))
def test_min_p_is_a_share_of_the_most_probable(counts, share):
    """Probabilities are counts over their sum, so that the reference is exact."""
    assume(all(abs(count - share * max(counts)) > 1e-9 or count == max(counts) for count in counts))
    result = min_p(np.log(np.array(counts, np.float64)), float(share))
    assert kept(result)[0] == {v for v, n in enumerate(counts) if n >= share * max(counts)}


def test_min_p_at_its_ends():
    logits = np.array([0.0, 5.0, -900.0, 5.0, -math.inf])
    assert kept(min_p(logits, 0)) == [{0, 1, 2, 3}]
    assert kept(min_p(logits, 1)) == [{1, 3}]
    assert kept(min_p(logits, 1e-300)) == [{0, 1, 3}]


@quick
@given(logit_vectors(), st.floats(0, 1), st.floats(0, 1))
def test_min_p_is_monotone(logits, p, q):
    low, high = sorted((p, q))
    assert kept(min_p(logits, high))[0] <= kept(min_p(logits, low))[0]


def typical_by_hand(p, mass):
    """The least set by surprise's distance from the entropy, and the distances."""
    entropy = -math.fsum(x * math.log(x) for x in p if x > 0)
    distance = [abs(-math.log(x) - entropy) if x > 0 else math.inf for x in p]
    order = sorted(range(len(p)), key=distance.__getitem__)
    total, last = 0.0, order[0]
    for token in order:
        assume(abs(total - mass) > 1e-9 or mass == 0)
        if total >= mass and total > 0:
            break
        total, last = total + p[token], token
    # Equal in all but rounding must not decide which side of the border a token is on.
    assume(all(d == distance[last] or abs(d - distance[last]) > 1e-9 for d in distance))
    return {v for v, d in enumerate(distance) if d <= distance[last] and p[v] > 0}


@quick
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(any), st.floats(0, 0.99))
def test_typical_p_is_the_least_set_nearest_to_the_entropy(counts, mass):
    with np.errstate(divide="ignore"):
        logits = np.log(np.array(counts, np.float64))
    p = [count / sum(counts) for count in counts]
    assert kept(typical_p(logits, mass)) == [typical_by_hand(p, mass)]


def test_typical_p_at_its_ends():
    logits = np.log(np.array([0.5, 0.2, 0.15, 0.15]))  # entropy 1.238; surprises 0.69 1.61 1.90
    assert kept(typical_p(logits, 0)) == [{1}]
    assert kept(typical_p(logits, 0.2)) == [{1}]
    assert kept(typical_p(logits, 0.21)) == [{0, 1}]
    assert kept(typical_p(logits, 0.71)) == [{0, 1, 2, 3}]
    assert kept(typical_p(np.array([0.0, -800.0, -math.inf]), 1)) == [{0, 1}]
    assert kept(typical_p(np.zeros(4), 0)) == [{0, 1, 2, 3}], "all as far away"


@quick
@given(logit_vectors(np.float64), st.data())
def test_a_penalty_is_a_power_of_the_probabilities(logits, data):
    history = data.draw(st.lists(st.integers(0, len(logits) - 1), max_size=4))
    theta = data.draw(st.floats(1, 5))
    p = softmax(logits).tolist()
    raised = [x**theta if v in history else x for v, x in enumerate(p)]
    expected = [x / math.fsum(raised) for x in raised]
    assert softmax(repetition_penalty(logits, theta, history)) == pytest.approx(expected, abs=1e-12)
    # No constant added to the logits changes it, as it would with the paper's formula.
    moved = repetition_penalty(logits + 3, theta, history)
    assert softmax(moved) == pytest.approx(expected, abs=1e-9)


def test_a_penalty_of_one_changes_nothing_and_a_large_one_leaves_something():
    logits = np.array([3.0, 1.0, -math.inf, 0.5], np.float32)
    assert softmax(repetition_penalty(logits, 1, [0, 1])) == pytest.approx(softmax(logits))
    assert kept(repetition_penalty(logits, 1000, [0, 1, 3])) == [{0, 1, 3}]
    assert int(repetition_penalty(logits, 1000, [0, 1]).argmax()) == 3
    certain = np.array([-math.inf, 7.0])
    assert kept(repetition_penalty(certain, 1000, [1])) == [{1}]


def test_a_penalty_looks_back_over_its_window():
    logits = np.zeros(3)
    for distance, penalised in ((REPETITION_WINDOW, True), (REPETITION_WINDOW + 1, False)):
        history = [0, *[1] * (distance - 1)]
        result = repetition_penalty(logits, 2, history)
        assert (result[0] < result[2]) == penalised
        assert result[1] < result[2]


@quick
@given(logit_vectors(np.float64), st.floats(0.05, 20))
def test_temperature_divides(logits, t):
    expected = softmax(np.where(np.isfinite(logits), logits / t, -np.inf))
    assert softmax(temperature(logits, t)) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@quick
@given(logit_vectors(np.float64), st.floats(0, 20), st.floats(0, 20))
def test_a_higher_temperature_never_makes_the_most_probable_more_so(logits, one, other):
    low, high = sorted((one, other))
    sharp, flat = softmax(temperature(logits, low)).max(), softmax(temperature(logits, high)).max()
    assert sharp >= flat - 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_temperature_at_its_ends(dtype):
    logits = np.array([1.0, 3.0, -math.inf, 3.0, 2.0], dtype)
    assert kept(temperature(logits, 0)) == [{1}], "the lowest id of the most probable"
    for tiny in (5e-324, 1e-300, 1e-50):
        assert softmax(temperature(logits, tiny)).tolist() == [0, 0.5, 0, 0.5, 0]
    assert softmax(temperature(logits, 1e300)).tolist() == [0.25, 0.25, 0, 0.25, 0.25]


def test_legal_only_removes_the_rest():
    logits = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], np.float32)
    result = legal_only(logits, np.array([[True, False, True], [False, True, False]]))
    assert result.dtype == np.float32
    assert result.tolist() == [[1, -math.inf, 3], [-math.inf, 2, -math.inf]]


def test_the_pipeline_applies_what_is_asked_for_in_the_order_of_the_registry():
    assert list(LOGIT_FILTERS) == [
        "repetition_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p"
    ]  # fmt: skip
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    # Temperature first: squared, 16 : 9 : 4 : 1, of which 16 / 30 alone reach one half.
    half = SamplingSettings(temperature=0.5, top_p=0.5)
    assert kept(pipeline(half)(logits, [])) == [{0}]
    assert kept(pipeline(SamplingSettings(top_p=0.5))(logits, [])) == [{0, 1}]
    # Top-k before top-p: of 0.4 and 0.3 the first has 4 / 7.
    assert kept(pipeline(SamplingSettings(top_k=2, top_p=0.5))(logits, [])) == [{0}]
    assert softmax(pipeline(SamplingSettings())(logits, [])) == pytest.approx(softmax(logits))
    # Min-p after temperature: 16 : 4 is one quarter, where 4 : 2 would be one half.
    bent = SamplingSettings(temperature=0.5, min_p=0.4)
    assert kept(pipeline(bent)(logits, [])) == [{0, 1}]
    assert kept(pipeline(SamplingSettings(min_p=0.4))(logits, [])) == [{0, 1, 2}]
    # Typical last: it removes 0.9, and with it a min-p after it would find nothing to compare.
    steep = np.log(np.array([0.9, 0.05, 0.03, 0.02]))
    assert kept(typical_p(np.log(np.array([0.5, 0.2, 0.15, 0.15])), 0.1)) == [{1}]
    assert kept(pipeline(SamplingSettings(min_p=0.5, typical_p=0.1))(steep, [])) == [{0}]
    for greedy in (SamplingSettings(greedy=True), SamplingSettings(temperature=0)):
        assert kept(pipeline(greedy)(np.array([0.0, 2.0, 2.0]), [])) == [{1}]
    # The penalty before what is greedy: 0.4 squared is less than 0.3.
    for greedy in ({"greedy": True}, {"temperature": 0}):
        penalised = SamplingSettings(**greedy, repetition_penalty=2)
        assert kept(pipeline(penalised)(logits, [0])) == [{1}]
        assert kept(pipeline(penalised)(logits, [3])) == [{0}]


def spy(logits, value, history):
    spy.seen.append((value, list(history)))
    return logits


def test_filters_are_given_the_history(monkeypatch):
    spy.seen = []
    monkeypatch.setitem(LOGIT_FILTERS, "top_k", f"{__name__}:spy")
    pipeline(SamplingSettings(top_k=7))(np.zeros(3), [2, 0])
    assert spy.seen == [(7, [2, 0])]
