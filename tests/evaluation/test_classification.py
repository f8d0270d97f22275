"""Figures of classification: against scikit-learn and by hand, whatever the order of classes."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from charlm.evaluation.classification import figures, paired_bootstrap


def example(seed: int, n: int, classes: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.ones(classes), n)
    return draw.integers(classes, size=n), probabilities


def test_figures_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.array(
        [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.5, 0.25], [0.5, 0.5, 0]]
    )
    found = figures(labels, probabilities, ["one", "two", "three"])
    assert json.loads(json.dumps(found)) == {
        "accuracy": 0.6,
        "macro_f1": pytest.approx((2 / 3 + 1 / 2) / 2),  # the third class does not occur
        "nats": pytest.approx(np.log(2) * (4 + 2) / 5),
        "n": 5,
        "per_class": {
            "one": {
                "precision": pytest.approx(2 / 3),
                "recall": pytest.approx(2 / 3),
                "f1": pytest.approx(2 / 3),
                "n": 3,
                "taken_for": {"two": 1},
            },
            "two": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2, "taken_for": {"one": 1}},
            "three": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0, "taken_for": {}},
        },
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 40), classes=st.integers(2, 6))
def test_figures_do_not_depend_on_the_order_of_classes(seed: int, n: int, classes: int) -> None:
    labels, probabilities = example(seed, n, classes)
    names = [f"class {number}" for number in range(classes)]
    order = np.random.default_rng(seed + 1).permutation(classes)
    place = np.argsort(order)
    one = figures(labels, probabilities, names)
    other = figures(place[labels], probabilities[:, order], [names[number] for number in order])
    for name in ("accuracy", "macro_f1", "nats"):
        assert one[name] == pytest.approx(other[name], rel=1e-12)
    assert one["per_class"] == other["per_class"]


def test_a_probability_of_zero_is_a_finite_number_of_nats() -> None:
    found = figures(np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]), ["a", "b"])
    assert found["accuracy"] == 0
    json.dumps(found, allow_nan=False)
    assert figures(np.array([0]), np.array([[0.75, 0.25]]), ["a", "b"])["nats"] == pytest.approx(
        -np.log(0.75)
    )


def test_bootstrap_of_the_figures_is_of_scikit_learns() -> None:
    labels, probabilities = example(3, 60, 4)
    answers = probabilities.argmax(1)
    better = np.where(np.arange(60) % 3 == 0, labels, answers)
    found = paired_bootstrap(labels, better, answers, seed=1, resamples=400)
    assert found["accuracy"]["difference"] == pytest.approx(
        accuracy_score(labels, better) - accuracy_score(labels, answers)
    )
    assert found["macro_f1"]["difference"] == pytest.approx(
        f1_score(labels, better, average="macro") - f1_score(labels, answers, average="macro")
    )
    json.dumps(found, allow_nan=False)


def test_interval_is_that_of_the_mean_of_paired_differences() -> None:
    """Accuracy: n differences of -1, 0, 1; the deviation of their mean is known."""
    draw = np.random.default_rng(5)
    n = 400
    labels = np.zeros(n, int)
    ours, theirs = ((draw.random(n) < wrong).astype(int) for wrong in (0.1, 0.2))
    theirs[:200] = ours[:200]  # paired: half of the texts are the same for both
    found = paired_bootstrap(labels, ours, theirs, seed=1)["accuracy"]
    differences = (ours == labels).astype(float) - (theirs == labels)
    half = 1.96 * differences.std() / np.sqrt(n)
    assert found["low"] == pytest.approx(differences.mean() - half, abs=0.1 * half)
    assert found["high"] == pytest.approx(differences.mean() + half, abs=0.1 * half)
    assert found["better"] > 0.95


def test_bootstrap_of_several_runs_is_of_their_mean() -> None:
    labels, probabilities = example(7, 50, 3)
    theirs = probabilities.argmax(1)
    runs = np.stack([np.where(np.arange(50) % step == 0, labels, theirs) for step in (2, 5)])
    found = paired_bootstrap(labels, runs, theirs, seed=1, resamples=100)
    single = [paired_bootstrap(labels, run, theirs, seed=1, resamples=100) for run in runs]
    for name in ("accuracy", "macro_f1"):
        mean = np.mean([each[name]["difference"] for each in single])
        assert found[name]["difference"] == pytest.approx(mean)
        assert found[name]["low"] < mean < found[name]["high"]
    assert paired_bootstrap(labels, runs, theirs, seed=2, resamples=100) != found


def test_no_difference_is_told_as_none() -> None:
    labels, probabilities = example(9, 30, 3)
    answers = probabilities.argmax(1)
    found = paired_bootstrap(labels, answers, answers, seed=1, resamples=50)
    assert found["accuracy"] == {"difference": 0.0, "low": 0.0, "high": 0.0, "better": 0.0}
