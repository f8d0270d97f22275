"""What is learned of words from text without labels is what its singular vectors say."""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from charlm.evaluation import latent_semantics, tfidf_baseline
from charlm.evaluation.latent_semantics import LatentSemantics, analyse
from charlm.evaluation.tfidf_baseline import fit_words

HEART = ["murmur", "valve", "aorta", "atrium", "systole"]
BONE = ["knee", "joint", "femur", "splint", "plaster"]


def unlabelled(count: int, seed: int) -> list[str]:
    """Passages about one of two things, of three of its words and two of no matter."""
    draw = np.random.default_rng(seed)
    return [
        " ".join([*draw.choice((HEART, BONE)[n % 2], 3), *draw.choice(["the", "then", "was"], 2)])
        for n in range(count)
    ]


def vectors(texts: list[str], terms: list[str], idf: np.ndarray) -> np.ndarray:
    """tfidf as `counted_words` has it in its head, of words alone."""
    found = np.zeros((len(texts), len(terms)))
    for row, text in enumerate(texts):
        for term, count in Counter(text.split()).items():
            if term in terms:
                found[row, terms.index(term)] = 1 + np.log(count)
    found *= idf
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(length, length, 1)


def test_directions_are_the_singular_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_semantics, "DIRECTIONS", 2)
    texts = [*unlabelled(60, 1), "rare once"]
    found = analyse(texts, 2, 1)
    assert found is not None
    terms = sorted({*HEART, *BONE, "the", "then", "was"})
    assert list(found.terms) == terms
    inside = [sum(term in text.split() for text in texts) for term in terms]
    idf = np.log((1 + len(texts)) / (1 + np.array(inside))) + 1
    np.testing.assert_allclose(found.idf, idf)
    V = np.linalg.svd(vectors(texts, terms, idf))[2][:2].T
    assert found.directions.shape == V.shape
    np.testing.assert_allclose(found.directions @ found.directions.T, V @ V.T, atol=1e-5)


def test_what_cannot_be_told_is_none() -> None:
    for texts in ([], ["", " "], ["a b c"], ["heart valve", "heart", "knee"], ["heart"] * 9):
        assert analyse(texts, 2, 1) is None
    found = analyse(["a heart valve leaks and beats"] * 4, 2, 1)
    assert found is not None and found.directions.shape == (5, 1)


def test_many_classes_leave_room_for_the_terms_of_the_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latent_semantics, "MOST_WEIGHTS", 40)
    monkeypatch.setattr(tfidf_baseline, "MOST_WEIGHTS", 40)
    found = analyse(unlabelled(60, 1), 4, 1)
    assert found is not None and len(found.terms) == 5
    texts = ["some words", "other words", "no words here", "again other"] * 2
    words = fit_words(texts, np.arange(8) % 4, 4, "none", 1, None, found)
    assert len(words.terms) == 10


@given(st.sets(st.text("abcd", min_size=1, max_size=3), max_size=9), st.integers(0, 10**6))
def test_terms_of_both_are_each_there_once(theirs: set[str], seed: int) -> None:
    draw = np.random.default_rng(seed)
    ours = ("a", "bc", "d")
    known = LatentSemantics(ours, draw.random(3) + 1, draw.random((3, 2)).astype("f"))
    idf = dict(zip(sorted(theirs), draw.random(len(theirs)) + 1, strict=True))
    terms, found, places = known.widen(tuple(idf), np.array(list(idf.values())))
    assert list(terms) == sorted(theirs | {*ours})
    assert [terms[place] for place in places] == list(ours)
    wanted = idf | dict(zip(ours, known.idf, strict=True))
    assert found.tolist() == [wanted[term] for term in terms]


def labelled(count: int, words: int, seed: int) -> tuple[list[str], Any]:
    """Texts with only the first so many words of each thing."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    texts = [" ".join(["the", *draw.choice((HEART, BONE)[n][:words], 2)]) for n in labels]
    return texts, labels


def test_words_that_no_labelled_text_has_are_known_by_their_company() -> None:
    known = analyse(unlabelled(200, 1), 2, 1)
    texts, labels = labelled(12, 2, 2)
    others = [*HEART[2:], *BONE[2:]]
    wanted = np.repeat([0, 1], 3)
    alone = fit_words(texts, labels, 2, "none", 1)
    assert not (alone.probabilities(others).max(1) > 0.6).any()
    found = fit_words(texts, labels, 2, "none", 1, None, known).probabilities(others)
    assert (found.argmax(1) == wanted).all() and (found.max(1) > 0.7).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_are_those_of_regression_on_words_and_directions(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = analyse(unlabelled(80, 3), classes, 1)
    assert known is not None
    texts, labels = labelled(24, 3, 4)
    labels = np.where(np.arange(24) % 8 == 7, classes - 1, labels)
    words = fit_words(texts, labels, classes, "none", 1, None, known)
    x = words._vectors.transform(texts).toarray()
    V = np.zeros((len(words.terms), known.directions.shape[1]))
    for term, direction in zip(known.terms, known.directions, strict=True):
        V[words.terms.index(term)] = direction
    g = tfidf_baseline.SCALES[-1]
    model = LogisticRegression(C=tfidf_baseline.USUAL, max_iter=1000, tol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.hstack([x, g * x @ V]), labels)
    others = [*HEART, *BONE, "the knee", "of nothing"]
    y = words._vectors.transform(others).toarray()
    scores = model.decision_function(np.hstack([y, g * y @ V]))
    wanted = softmax(np.stack([0 * scores, scores], 1) if classes == 2 else scores, axis=1)
    np.testing.assert_allclose(words.probabilities(others), wanted, atol=1e-2)


def test_what_rounding_leaves_is_no_direction() -> None:
    """Passages of two kinds that never vary have two directions, however many words they have."""
    kinds = ["a heart valve leaks and beats in systole", "the knee joint has a femur and splint"]
    found = analyse(kinds * 20, 2, 1)
    assert found is not None and len(found.terms) >= 12
    assert found.directions.shape[1] == 2


def test_the_validation_texts_choose_whether_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Company that misleads is left out: here the rare words of one thing go with the other's."""
    draw = np.random.default_rng(5)
    company = [HEART[:2] + BONE[2:], BONE[:2] + HEART[2:]]
    known = analyse([" ".join(draw.choice(company[n % 2], 3)) for n in range(200)], 2, 1)
    texts, labels = labelled(40, 2, 6)
    valid = [*HEART[2:], *BONE[2:]], np.repeat([0, 1], 3)

    def fitted(scales: tuple[float, ...]) -> Any:
        monkeypatch.setattr(tfidf_baseline, "SCALES", scales)
        return fit_words(texts, labels, 2, "none", 1, valid, known).coefficients

    chosen = fitted((0.0, 3.0))
    np.testing.assert_array_equal(chosen, fitted((0.0,)))
    assert np.abs(chosen - fitted((3.0,))).max() > 0.1
    # And company that tells the truth is not.
    known = analyse(unlabelled(200, 1), 2, 1)
    np.testing.assert_array_equal(fitted((0.0, 3.0)), fitted((3.0,)))
