"""What the kept words' model says is what NumPy and what scikit-learn's own estimators say."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from charlm.evaluation.counted_words import COUNTING, CountedWords
from charlm.evaluation.tfidf_baseline import USUAL, fit_words

WORDS = ["Pain", "rest", "tea", "ward", "water", "sleep"]
OTHERS = ["tea tea tea at the ward", "Pain! rest, PAIN rest", "", "nothing known", "water"]


def written(n: int, classes: int, seed: int) -> tuple[list[str], Any]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=n)
    return [" ".join([*draw.choice(WORDS, 5), WORDS[k], WORDS[k]]) for k in labels], labels


def by_hand(model: CountedWords, text: str) -> Any:
    """p of each class of one text, from the definitions."""
    words = [word for word in re.findall(r"\w+", text.lower()) if len(word) > 1]
    pairs = [" ".join(pair) for pair in pairwise(words)]
    vector = np.zeros(len(model.terms))
    for term, count in Counter([*words, *pairs]).items():
        if term in model.terms:
            place = model.terms.index(term)
            vector[place] = (1 + math.log(count)) * model.idf[place]
    vector /= np.linalg.norm(vector) or 1
    scores = model.coefficients @ vector + model.intercept
    p = np.full(model.n_classes, model.missing)
    p[model.known] = np.exp(scores) / np.exp(scores).sum()
    return p / p.sum()


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_it_is_what_the_equations_say(classes: int) -> None:
    """Of 4 classes there are texts of 3."""
    texts, labels = written(40, min(classes, 3), 1)
    labels = np.where(labels == 2, classes - 1, labels)
    model = fit_words(texts, labels, classes, "none", 1)
    assert len(model.known) == min(classes, 3)
    wanted = [by_hand(model, text) for text in OTHERS]
    np.testing.assert_allclose(model.probabilities(OTHERS), wanted, rtol=1e-10)
    assert model.probabilities([]).shape == (0, classes)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_it_is_what_scikit_learn_says(classes: int, weights: str) -> None:
    texts, labels = written(40, classes, 2)
    model = fit_words(texts, labels, classes, weights, 1)
    vectors = TfidfVectorizer(**COUNTING)
    theirs = LogisticRegression(
        C=USUAL, max_iter=1000, class_weight=None if weights == "none" else weights
    ).fit(vectors.fit_transform(texts), labels)
    wanted = theirs.predict_proba(vectors.transform(OTHERS))
    np.testing.assert_allclose(model.probabilities(OTHERS), wanted, rtol=1e-8)
    assert list(model.terms) == sorted(model.terms) and model.penalty == USUAL
