"""How well texts with labels are classified, while they stream by."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from charlm.classifying.loaded import Classified
from charlm.classifying.tally import Tally
from charlm.errors import DataError

CLASSES = ("heart", "bone", "skin")


def answers_of(probabilities):
    return [
        Classified(CLASSES[row.argmax()], float(row.max()), dict(zip(CLASSES, row, strict=True)))
        for row in probabilities
    ]


def test_the_figures_are_those_of_scikit_learn_and_nothing_is_warned_of():
    draw = np.random.default_rng(1)
    probabilities = draw.dirichlet(np.ones(3), size=5000)
    labels = draw.integers(0, 3, 5000)
    tally = Tally(CLASSES)
    for part in np.array_split(np.arange(5000), 7):
        tally.add([CLASSES[k] for k in labels[part]], answers_of(probabilities[part]), part)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tally.figures()
    answers = probabilities.argmax(axis=1)
    assert found["n"] == 5000
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, answers))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, answers, average="macro"))
    assert found["nats"] == pytest.approx(log_loss(labels, probabilities), rel=1e-5)


@pytest.mark.parametrize("label", [None, "liver"])
def test_a_label_that_no_class_has_is_refused(label):
    with pytest.raises(DataError, match="row 7"):
        Tally(CLASSES).add([label], answers_of(np.ones((1, 3)) / 3), [7])


def test_of_no_text_there_are_no_figures():
    with pytest.raises(DataError):
        Tally(CLASSES).figures()
