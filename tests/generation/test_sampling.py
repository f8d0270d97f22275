"""Draws: their frequencies, their reproducibility, and what is never drawn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.generation.sampling import Sampler, choose, negative_log_probability

ALMOST_ONE = math.nextafter(1, 0)
GOLDEN = [477, 164, 641, 778, 608, 977]  # floor(1000 u) of Philox keyed on (1, 0, crc32("sample"))
logit = st.one_of(st.just(-math.inf), st.floats(-800, 800), st.sampled_from([0.0, -37.0]))
vectors = st.lists(logit, min_size=1, max_size=10).filter(
    lambda values: any(math.isfinite(v) for v in values)
)


@settings(deadline=None, max_examples=200)
@given(vectors, st.one_of(st.floats(0, 1), st.sampled_from([0.0, ALMOST_ONE, 1.0])))
def test_nothing_removed_is_ever_drawn(values, uniform):
    logits = np.array(values)
    token = choose(logits, uniform)
    assert math.exp(logits[token] - logits.max()) > 0


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any), st.floats(0, 1))
def test_the_token_is_where_the_uniform_falls(counts, uniform):
    with np.errstate(divide="ignore"):
        logits = np.log(np.array(counts, np.float64))
    token = choose(logits, uniform)
    # Exact borders of the token's piece, an ulp or two of slack for the exponentials.
    assert sum(counts[:token]) <= uniform * sum(counts) * (1 + 1e-14) + 1e-300
    assert uniform * sum(counts) * (1 - 1e-14) <= sum(counts[: token + 1])
    assert counts[token] > 0


def test_borders():
    logits = np.log(np.array([0.25, 0.25, 0.5]))
    assert [choose(logits, u) for u in (0, 0.2499, 0.2501, 0.4999, 0.5001, ALMOST_ONE, 1)] == (
        [0, 0, 1, 1, 2, 2, 2]
    )
    assert choose(np.array([-math.inf, 0.0, -math.inf]), 0) == 1
    assert choose(np.array([-math.inf, 0.0, -math.inf]), 1) == 1


def test_frequencies_follow_the_probabilities():
    probabilities = np.array([0.4, 0.05, 0.25, 0.2, 0.07, 0.03])
    draws = 20_000
    sampler = Sampler(seed=3, sample_index=0)
    logits = np.log(probabilities).astype(np.float32)
    counts = np.bincount([sampler.draw(logits) for _ in range(draws)], minlength=6)
    expected = probabilities * draws
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert 0.2 < chi_square < 20.5, counts  # 0.001 and 0.999 quantiles of chi-square(5)


def test_a_sample_is_fixed_by_seed_and_index():
    def draws(seed, index):
        sampler = Sampler(seed, index)
        return [sampler.draw(np.zeros(1000)) for _ in range(6)]

    assert draws(1, 0) == draws(1, 0) == GOLDEN
    several = [draws(seed, index) for seed in (0, 1, 2**63) for index in range(20)]
    assert len({tuple(one) for one in several}) == len(several)


def test_every_draw_uses_one_uniform():
    """So position t of a sample is drawn from the same number whatever was drawn before."""
    certain, free = np.array([0.0, -math.inf]), np.zeros(1000)
    one, other = Sampler(5, 2), Sampler(5, 2)
    for _ in range(3):
        one.draw(certain)
        other.draw(free)
    assert one.draw(free) == other.draw(free)


def test_negative_log_probability():
    logits = np.log(np.array([0.5, 0.25, 0.25])) + 1000
    assert negative_log_probability(logits, 1) == pytest.approx(math.log(4), abs=1e-12)
    assert negative_log_probability(np.array([-math.inf, 3.0]), 1) == 0
