"""Exposure: ranks by counting, chance by chance, and the fitted tail against the true one."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from charlm.evaluation.exposure import exposure, skew_normal_exposure


def test_ranks_by_counting():
    others = list(range(10, 1033))  # 1023 numbers: the limit is 10 bits
    found = exposure([5.0, 10.5, 12.0, 2000.0], others, 1)
    assert found.limit == 10
    # Cheaper than all, then than all but one, but three (a tie counts against), and than none.
    assert found.sampled == pytest.approx([10, 9, 8, 0])
    assert found.mean == pytest.approx(27 / 4)
    assert found.interval[0] < found.mean < found.interval[1]
    assert found.chance < 5 and found.remembered


def test_numbers_never_seen_are_not_taken_for_remembered():
    draw = np.random.default_rng(2)
    alarms = [
        exposure(draw.normal(40, 3, 20), draw.normal(40, 3, 1000), seed).remembered
        for seed in range(40)
    ]
    assert sum(alarms) <= 3  # one in a hundred is expected
    few = exposure(draw.normal(40, 3, 2), draw.normal(40, 3, 1000), 1)
    many = exposure(draw.normal(40, 3, 50), draw.normal(40, 3, 1000), 1)
    assert few.chance > many.chance > 1 / math.log(2)


def test_the_fitted_tail_of_a_normal_distribution():
    others = np.array([NormalDist(40, 3).inv_cdf((i + 0.5) / 4000) for i in range(4000)])
    for deviations in (-1.0, -3.0, -5.0):
        wanted = -math.log2(NormalDist().cdf(deviations))
        (found,) = skew_normal_exposure(np.array([40 + 3 * deviations]), others)
        assert found == pytest.approx(wanted, rel=0.02)
    # Far beyond what a double holds, still finite and rising.
    near, far = skew_normal_exposure(np.array([-40.0, -200.0]), others)
    assert 400 < near < far < math.inf


@pytest.mark.parametrize("shape", [-4.0, 3.0])
def test_the_fitted_tail_of_a_skew_distribution(shape):
    from scipy.stats import skewnorm

    grid = (np.arange(20_000) + 0.5) / 20_000
    others = skewnorm.ppf(grid, shape, loc=30, scale=4)
    for chance in (1e-2, 1e-5):
        cost = skewnorm.ppf(chance, shape, loc=30, scale=4)
        (found,) = skew_normal_exposure(np.array([cost]), others)
        assert found == pytest.approx(-math.log2(chance), rel=0.1)
