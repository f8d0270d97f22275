"""The baseline learns what words tell, and stays a distribution where little can be learned."""

from typing import Any

import numpy as np
import pytest

from charlm.evaluation import tfidf_baseline
from charlm.evaluation.latent_semantics import analyse
from charlm.evaluation.tfidf_baseline import fit_words

WORDS = ["pain", "rest", "tea", "ward", "water", "sleep"]


def written(n: int, classes: int, seed: int) -> tuple[list[str], Any]:
    """Texts in which one word of eight tells the class, most of the time."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=n)
    texts = [
        " ".join([*draw.choice(WORDS, 7), f"kind{label if draw.random() < 0.9 else 0}"])
        for label in labels
    ]
    return texts, labels


def accuracy(probabilities: Any, labels: Any) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def baseline_probabilities(
    texts: Any, labels: Any, others: Any, n_classes: int, weights: str, seed: int, valid: Any = None
) -> Any:
    return fit_words(texts, labels, n_classes, weights, seed, valid).probabilities(others)


def test_it_learns_what_one_word_tells() -> None:
    texts, labels = written(300, 3, 1)
    others, wanted = written(200, 3, 2)
    valid = written(100, 3, 3)
    for weights in ("none", "balanced"):
        found = baseline_probabilities(texts, labels, others, 3, weights, 1, valid)
        assert found.shape == (200, 3)
        assert found.sum(1) == pytest.approx(np.ones(200))
        assert accuracy(found, wanted) > 0.85
    plain = baseline_probabilities(texts, labels, others, 3, "none", 1)
    assert np.abs(plain - found).max() > 0.01


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_few_texts_in_their_own_coordinates_tell_the_same(
    classes: int, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them alike, and one of no words, so that the coordinates are fewer than the texts."""
    texts, labels = written(40, classes, 5)
    texts[1], texts[2] = texts[0], ""
    valid = written(30, classes, 6)
    found = fit_words(texts, labels, classes, weights, 1, valid)
    monkeypatch.setattr(tfidf_baseline, "_FEW", 0)
    wanted = fit_words(texts, labels, classes, weights, 1, valid)
    assert found.penalty == wanted.penalty and found.coefficients.shape[1] > 40
    others = written(50, classes, 7)[0]
    np.testing.assert_allclose(found.probabilities(others), wanted.probabilities(others), atol=1e-4)


def test_word_order_counts_in_pairs() -> None:
    texts = ["not good but bad", "not bad but good"] * 10
    labels = np.array([0, 1] * 10)
    assert accuracy(baseline_probabilities(texts, labels, texts, 2, "none", 1), labels) == 1


def test_a_word_said_often_counts_little_more() -> None:
    """1 + log(30) is 4.4: less than seven words of the other class."""
    words = [f"one{number}" for number in range(7)]
    texts = [*words, *["two"] * 7] * 5
    labels = np.array([*[0] * 7, *[1] * 7] * 5)
    found = baseline_probabilities(texts, labels, [" ".join([*words, *["two"] * 30])], 2, "none", 1)
    assert found[0, 0] > 0.5


def test_a_character_is_a_word_where_no_spaces_are_written() -> None:
    texts = ["春眠不覺曉", "床前明月光"] * 10
    labels = np.array([0, 1] * 10)
    others = ["曉覺", "月明"]
    assert accuracy(baseline_probabilities(texts, labels, others, 2, "none", 1), [0, 1]) == 1


def test_the_penalty_is_chosen_on_the_validation_texts() -> None:
    """Where the words tell nothing, the strongest penalty of all is the best."""
    draw = np.random.default_rng(4)
    texts, _ = written(200, 2, 1)
    labels = draw.integers(2, size=200)
    valid = (written(200, 2, 2)[0], draw.integers(2, size=200))
    others = written(100, 2, 3)[0]
    usual = baseline_probabilities(texts, labels, others, 2, "none", 1)
    chosen = baseline_probabilities(texts, labels, others, 2, "none", 1, valid)
    assert np.abs(chosen - 0.5).mean() < np.abs(usual - 0.5).mean()


def test_classes_without_a_text_and_texts_without_a_word() -> None:
    texts, labels = written(20, 2, 1)
    found = baseline_probabilities(texts, labels, ["?!", "kind1"], 4, "none", 1)
    assert found.sum(1) == pytest.approx(np.ones(2))
    assert (found[:, 2:] > 0.01).all() and (found[:, 2:] < 0.1).all()
    assert np.isfinite(np.log(found)).all()
    wordless = baseline_probabilities(["?", "!", "."], np.array([0, 0, 2]), ["a"], 3, "none", 1)
    assert wordless == pytest.approx(np.array([[3, 1, 2]]) / 6)
    single = baseline_probabilities(["one", "two"], np.array([1, 1]), ["a"], 2, "none", 1)
    assert single == pytest.approx(np.array([[1, 3]]) / 4)


def test_a_seed_may_be_larger_than_scikit_learn_takes() -> None:
    texts, labels = written(40, 2, 1)
    for seed in (2**32, 2**63 - 1):
        found = fit_words(texts, labels, 2, "none", seed, semantics=analyse(texts, 2, seed))
        assert np.isfinite(found.probabilities(texts)).all()
