"""The weights of network and words are the best there are, and the pool is its equation."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from charlm.evaluation.calibration import fit_temperature
from charlm.evaluation.together import CAUTION, MOST, UNFITTED, fit_weights, pooled


def two(n: int, classes: int, seed: int, first: float, second: float) -> tuple[Any, Any, Any]:
    """Labels, and two independent opinions of them, as logits and as log p."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=n)
    own = np.eye(classes)[labels]
    logits, words = (
        draw.standard_normal((n, classes)) + strength * own for strength in (first, second)
    )
    return labels, 3 * logits, log_softmax(words, axis=1)


def loss(labels: Any, logits: Any, words: Any, weights: Any) -> float:
    """The nats with one text more of which nothing is known, at the mean of all; and what caution
    adds to them, at the n texts there are."""
    z = weights[0] * logits + weights[1] * words
    n = len(labels)
    log_p = log_softmax(z, axis=1)
    own, even = log_p[np.arange(n), labels].mean(), log_p.mean()
    drawn = (weights[0] * fit_temperature(logits, labels)) ** 2 + (weights[1] - 1) ** 2
    return float(-(n * own + even) / (n + 1) + CAUTION / 2 * drawn / n)


@pytest.mark.parametrize(
    ("first", "second"), [(1.5, 1.5), (3.0, 0.5), (0.0, 2.0), (-1.0, 2.0), (2.0, -1.0)]
)
@pytest.mark.parametrize("n", [20, 200])
def test_no_weights_of_a_grid_are_better(n: int, first: float, second: float) -> None:
    labels, logits, words = two(n, 3, 1, first, second)
    found = fit_weights(logits, words, labels)
    best = loss(labels, logits, words, found)
    grid = np.linspace(0, 3, 61)
    tried = {(a, b): loss(labels, logits, words, (a, b)) for a in grid for b in grid}
    assert best <= min(tried.values()) + 1e-9
    near = min(tried, key=lambda weights: tried[weights])
    np.testing.assert_allclose(found, near, atol=0.06)
    assert min(found) >= 0
    assert first >= 0 or found[0] == 0


def test_few_texts_leave_the_words_alone_and_many_weigh_both() -> None:
    few, many = (
        fit_weights(logits, words, labels)
        for labels, logits, words in (two(n, 3, 4, 0.5, 1.5) for n in (4, 20_000))
    )
    np.testing.assert_allclose(few, (0, 1), atol=0.15)
    # What noise of variance 1 leaves of each: its strength; the network is three times as loud.
    np.testing.assert_allclose(many, (0.5 / 3, 1.5), atol=0.05)


def test_how_loud_a_network_is_changes_no_answer() -> None:
    labels, logits, words = two(30, 3, 5, 2.0, 1.0)
    once, louder = (fit_weights(k * logits, words, labels) for k in (1, 10))
    np.testing.assert_allclose(louder, (once[0] / 10, once[1]), rtol=1e-4)


def test_where_words_tell_nothing_the_weight_is_the_temperature() -> None:
    labels, logits, _ = two(20_000, 3, 2, 2.0, 0.0)
    words = np.full((20_000, 3), np.log(1 / 3))
    a, _ = fit_weights(logits, words, labels)
    assert a == pytest.approx(1 / fit_temperature(logits, labels), rel=0.01)


def test_texts_that_are_all_right_make_nothing_more_certain() -> None:
    labels = np.tile([0, 1, 2], 50)
    logits = 20.0 * np.eye(3)[labels]
    words = log_softmax(5.0 * np.eye(3)[labels], axis=1)
    a, b = fit_weights(logits, words, labels)
    p = pooled(logits, words, (a, b))
    assert a < MOST and b < MOST and 0.98 < p.max() < (150 + 1 / 3) / 151


def test_without_texts_it_is_the_geometric_mean() -> None:
    assert fit_weights(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int)) == UNFITTED
    _, logits, words = two(5, 4, 3, 1.0, 1.0)
    mean = np.sqrt(softmax(logits, axis=1) * np.exp(words))
    wanted = mean / mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(pooled(logits, words, UNFITTED), wanted, rtol=1e-12)


@given(seed=st.integers(0, 999), a=st.floats(0, 9), b=st.floats(0, 9), shift=st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_the_pool_is_a_distribution_that_no_shift_of_logits_changes(
    seed: int, a: float, b: float, shift: float
) -> None:
    _, logits, words = two(4, 3, seed, 1.0, 1.0)
    p = pooled(logits, words, (a, b))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(pooled(logits + shift, words, (a, b)), p, atol=1e-9)
    swapped = pooled(words, logits, (b, a))
    np.testing.assert_allclose(swapped, p, atol=1e-12)
