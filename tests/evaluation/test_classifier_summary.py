"""What a classifier's summary says is what its answers are; the surest errors are kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from charlm.evaluation.calibration import expected_calibration_error, fit_temperature
from charlm.evaluation.classification import figures, paired_bootstrap
from charlm.evaluation.classifier_summary import Answered, classifier_summary
from charlm.evaluation.tfidf_baseline import fit_words
from charlm.evaluation.wrong_answers import FILE, write_wrong_answers, wrong_answers

CLASSES = ["a", "b", "c"]
WORDS = np.array(["pain", "rest", "tea", "ward", "water", "sleep"])


def part(n: int, seed: int) -> Answered:
    """Texts of which words 0, 1 and 2 tell the class, and the logits of a fair classifier."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(3, size=n)
    texts = [" ".join([*draw.choice(WORDS, 6), WORDS[label], WORDS[label]]) for label in labels]
    logits = 3 * draw.standard_normal((n, 3)) + 4 * np.eye(3)[labels]
    return Answered(texts, labels, logits)


def summary(valid: Answered, test: Answered, **options: Any) -> dict[str, Any]:
    train = part(120, 1)
    chosen: dict[str, Any] = {"baseline": True, "class_weights": "none", "seed": 1, **options}
    found, kept = classifier_summary(
        train.texts, train.labels, {"valid": valid, "test": test}, CLASSES, **chosen
    )
    assert (kept is None) == (found["baseline"] is None)
    return found


def test_figures_are_at_the_temperature_of_the_validation_texts() -> None:
    valid, test = part(60, 2), part(80, 3)
    found = summary(valid, test)
    temperature = fit_temperature(valid.logits, valid.labels)
    p = softmax(test.logits / temperature, axis=1)
    words = fit_words(
        part(120, 1).texts, part(120, 1).labels, 3, "none", 1, (valid.texts, valid.labels)
    )
    theirs = words.probabilities(test.texts)
    assert found["temperature"] == temperature
    assert found["test"]["nats"] == pytest.approx(figures(test.labels, p, CLASSES)["nats"])
    assert found["valid"]["n"] == 60 and found["test"]["n"] == found["baseline"]["n"] == 80
    assert found["baseline"] == figures(test.labels, theirs, CLASSES)
    assert found["comparison"] == paired_bootstrap(test.labels, p.argmax(1), theirs.argmax(1), 1)
    calibration = found["calibration"]
    assert calibration["part"] == "test"
    assert calibration["after"] == pytest.approx(expected_calibration_error(p, test.labels))
    before = expected_calibration_error(softmax(test.logits, axis=1), test.labels)
    assert calibration["before"] == pytest.approx(before)
    assert sum(row["n"] for row in calibration["reliability"]["after"]) == 80
    json.dumps(found, allow_nan=False)


def blind(n: int, seed: int) -> Answered:
    """Texts of whose three classes the words tell 0 from the others, and the logits 2."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(3, size=n)
    texts = [f"{' '.join(draw.choice(WORDS[2:], 4))} {WORDS[int(k > 0)]}" for k in labels]
    logits = draw.standard_normal((n, 3)) + 6 * np.outer(labels == 2, [0, 0, 1])
    logits -= 6 * np.outer(labels != 2, [0, 0, 1])
    return Answered(texts, labels, logits)


def test_what_each_of_them_misses_they_know_together() -> None:
    train, valid, test = blind(200, 1), blind(100, 2), blind(120, 3)
    found, kept = classifier_summary(
        train.texts, train.labels, {"valid": valid, "test": test}, CLASSES,
        baseline=True, class_weights="none", seed=1,
    )  # fmt: skip
    together = found["together"]
    assert together["accuracy"] > 0.95 and together["n"] == 120
    assert max(found[name]["accuracy"] for name in ("test", "baseline")) < 0.85
    assert kept is not None
    assert together["weights"] == {"network": kept.weights[0], "baseline": kept.weights[1]}
    answers = kept.probabilities(test.logits, test.texts).argmax(1)
    for name, alone in (
        ("network", test.logits.argmax(1)),
        ("baseline", kept.words.probabilities(test.texts).argmax(1)),
    ):
        wanted = paired_bootstrap(test.labels, answers, alone, 1)
        assert together["ahead_of"][name] == wanted and wanted["macro_f1"]["low"] > 0
    json.dumps(found, allow_nan=False)
    # Without validation texts the halves are kept, and nothing is said of them.
    nothing = Answered([], np.zeros(0, int), np.zeros((0, 3)))
    found, kept = classifier_summary(
        train.texts, train.labels, {"valid": nothing, "test": test}, CLASSES,
        baseline=True, class_weights="none", seed=1,
    )  # fmt: skip
    assert found["together"] is None and kept is not None and kept.weights == (0.5, 0.5)


def test_without_test_texts_the_validation_texts_are_measured() -> None:
    nothing = Answered([], np.zeros(0, int), np.zeros((0, 3)))
    found = summary(part(60, 2), nothing)
    assert found["test"] is None
    assert found["baseline"]["n"] == 60 and found["calibration"]["part"] == "valid"
    # The penalty was not chosen on what is measured.
    train, valid = part(120, 1), part(60, 2)
    usual = fit_words(train.texts, train.labels, 3, "none", 1).probabilities(valid.texts)
    assert found["baseline"] == figures(valid.labels, usual, CLASSES)
    assert found["together"] is None  # it would be measured on what its weights were fitted on
    assert summary(nothing, nothing) == {
        "temperature": 1.0,
        **dict.fromkeys(
            ("valid", "test", "baseline", "words", "calibration", "comparison", "together")
        ),
    }


def test_without_a_baseline_there_is_nothing_to_compare() -> None:
    found = summary(part(60, 2), part(80, 3), baseline=False)
    assert found["baseline"] is found["comparison"] is found["together"] is None
    assert found["test"]["n"] == 80


def test_the_surest_errors_stand_first(tmp_path: Path) -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 0])
    texts = ["one", 'two\n"2"', "three", "fôur"]
    found = wrong_answers(texts, [2, 3, 4, 5], labels, p, ["no", "yes"])
    assert [answer["row"] for answer in found] == [2, 5, 3]
    assert found[1] == {
        "row": 5,
        "label": "no",
        "answer": "yes",
        "probability": 0.7,
        "probability_of_label": 0.3,
        "text": "fôur",
    }
    assert wrong_answers(texts, [2, 3, 4, 5], labels, p, ["no", "yes"], most=2) == found[:2]
    path = write_wrong_answers(tmp_path, found)
    assert path == tmp_path / FILE
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == found
    assert path.stat().st_mode & 0o077 == 0
