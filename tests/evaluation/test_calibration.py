"""Calibration: the temperature that was put in comes out; the error by its definition."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from charlm.evaluation.calibration import (
    BINS,
    expected_calibration_error,
    fit_temperature,
    probabilities_at,
    reliability,
)


def drawn(n: int, classes: int, temperature: float, seed: int = 1) -> tuple[Any, Any]:
    """Logits, and labels that are distributed as softmax(z / T) says."""
    draw = np.random.default_rng(seed)
    logits = 4 * draw.standard_normal((n, classes))
    p = probabilities_at(logits, temperature)
    return logits, (p.cumsum(1) < draw.random((n, 1))).sum(1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_put_in_comes_out(temperature: float) -> None:
    logits, labels = drawn(20_000, 5, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)
    before = expected_calibration_error(probabilities_at(logits), labels)
    after = expected_calibration_error(probabilities_at(logits, temperature), labels)
    assert after < 0.015
    assert temperature == 1 or before > 3 * after


def test_no_other_temperature_has_less_nats() -> None:
    """Against a search of SciPy, with the one text of which nothing is known among them."""
    logits, labels = drawn(40, 3, 2.0)

    def nats(log_temperature: float) -> float:
        logs = np.log(probabilities_at(logits, np.exp(log_temperature)))
        own = logs[np.arange(40), labels]
        return float(-(40 * own.mean() + logs.mean()) / 41)

    wanted = minimize_scalar(nats, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9}).x
    assert np.log(fit_temperature(logits, labels)) == pytest.approx(wanted, abs=1e-4)


def test_a_few_texts_that_are_all_right_do_not_make_it_certain() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    found = fit_temperature(logits, np.array([0, 1, 0]))
    assert 0.3 < found < 3
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, int)) == 1
    shifted = fit_temperature(logits + np.array([[1e3], [-1e3], [0]]), np.array([0, 1, 0]))
    assert shifted == pytest.approx(found, rel=1e-6)


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    found = probabilities_at(np.array([[1e5, 0.0, -1e5], [0.0, np.log(3), 0.0]]))
    assert found == pytest.approx(np.array([[1, 0, 0], [0.2, 0.6, 0.2]]))


def test_error_by_its_definition() -> None:
    p = np.array([0.9, 0.9, 0.95, 0.6, 0.62])
    probabilities = np.stack([p, 1 - p], 1)
    labels = np.array([0, 0, 1, 1, 0])
    # Bins of 1/15: (0.867, 0.933] holds two, (0.933, 1] one, (0.6, 0.667] one, (0.533, 0.6] one.
    wanted = (2 * 0.1 + 0.95 + 0.38 + 0.6) / 5
    assert expected_calibration_error(probabilities, labels) == pytest.approx(wanted)
    rows = reliability(probabilities, labels)
    assert [row["n"] for row in rows] == [1, 1, 2, 1]
    assert rows[2] == {
        "low": 13 / BINS, "high": 14 / BINS, "n": 2,
        "confidence": pytest.approx(0.9), "accuracy": 1.0,
    }  # fmt: skip


def test_every_text_is_in_a_bin() -> None:
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert sum(row["n"] for row in reliability(probabilities, np.zeros(3, int))) == 3
