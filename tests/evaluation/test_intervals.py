"""Intervals of a mean: those of a table of Student's t; they cover what they should."""

import math

import numpy as np
import pytest

from charlm.evaluation.intervals import mean_interval


def test_interval_by_hand() -> None:
    found = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764 * math.sqrt(2.5) / math.sqrt(5)  # t of 4 degrees of freedom, 97.5 %
    assert found["mean"] == 3
    assert found["high"] == pytest.approx(3 + half, abs=1e-4)
    assert found["low"] == pytest.approx(3 - half, abs=1e-4)
    assert found["values"] == [1, 2, 3, 4, 5]


def test_of_one_value_nothing_is_known() -> None:
    assert mean_interval([0.5]) == {"mean": 0.5, "low": None, "high": None, "values": [0.5]}


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    draw = np.random.default_rng(1)
    found = [mean_interval(draw.standard_normal(4).tolist()) for _ in range(1000)]
    covered = sum(each["low"] < 0 < each["high"] for each in found)
    assert 930 <= covered <= 968
