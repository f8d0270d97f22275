"""Accuracy of forecasts, against sums written out and a quantile's definition."""

import math

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from charlm.evaluation.forecast_accuracy import (
    QUANTILES,
    accuracy,
    moving_average,
    of_rule,
    persistence,
    pinball_loss,
)

NAN = math.nan


def test_pinball_loss_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    truth = draw.normal(size=(7, 3))
    quantiles = np.sort(draw.normal(size=(7, 3, 5)), axis=-1)
    found = pinball_loss(truth, quantiles).mean(axis=0)
    for step in range(3):
        each = [
            mean_pinball_loss(truth[:, step], quantiles[:, step, place], alpha=q)
            for place, q in enumerate(QUANTILES)
        ]
        assert found[step] == pytest.approx(np.mean(each), rel=1e-12)


def test_true_quantiles_have_the_least_loss_and_hold_their_share() -> None:
    truth = np.random.default_rng(1).normal(size=(20_000, 1))
    true = np.broadcast_to(np.array([-1.645, -0.674, 0, 0.674, 1.645]), (20_000, 1, 5))
    best = accuracy(truth, true)
    assert best.inside_50[0] == pytest.approx(0.5, abs=0.02)
    assert best.inside_90[0] == pytest.approx(0.9, abs=0.02)
    assert best.absolute_error[0] == pytest.approx(math.sqrt(2 / math.pi), rel=0.02)
    for other in (true * 1.3, true * 0.7, true + 0.2):
        assert accuracy(truth, other).pinball[0] > best.pinball[0]


def test_missing_values_count_nowhere() -> None:
    truth = np.array([[1.0, NAN], [NAN, NAN], [4.0, NAN]])
    quantiles = np.tile(np.array([0.0, 1, 2, 3, 4]), (3, 2, 1))
    found = accuracy(truth, quantiles)
    assert found.absolute_error[0] == 1.5 and found.inside_50[0] == 0.5
    assert found.inside_90[0] == 1.0
    assert np.isnan([figures[1] for figures in found]).all()


def test_simple_rules_know_only_what_was_before() -> None:
    values = np.array([1.0, 3, NAN, 5, 100, 100])
    assert persistence(values, [1, 3, 4]).tolist() == [1, 3, 5]
    assert moving_average(values, [1, 3, 4], 2).tolist() == [1, 3, 4]
    assert moving_average(values, [4], 10).tolist() == [3]


def test_a_rule_is_measured_by_its_value_and_banded_by_its_errors() -> None:
    draw = np.random.default_rng(1)
    point = draw.normal(size=2000)
    truth = point[:, None] + np.array([1.0, 3.0]) * draw.normal(size=(2000, 2)) + 0.5
    found = of_rule(truth, point)
    assert found.absolute_error == pytest.approx(np.abs(truth - point[:, None]).mean(axis=0))
    assert found.inside_50 == pytest.approx([0.5, 0.5], abs=0.01)
    assert found.inside_90 == pytest.approx([0.9, 0.9], abs=0.01)
    assert found.pinball[1] == pytest.approx(3 * found.pinball[0], rel=0.1)
