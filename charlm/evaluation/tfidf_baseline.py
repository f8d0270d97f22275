"""What a network has to beat: TF-IDF of words and word pairs, and logistic regression.

Multinomial logistic regression with an L2 penalty on the vectors x of `counted_words`, by
scikit-learn. C, the inverse of the penalty, is the one of CANDIDATES with the least nats on the
validation texts, where there are some.

Where it is known which words go together (`latent_semantics`), on [x, g V^T x]: the scores are

    (W_1 + g W_2 V^T) x

linear in x as before, with weights that may be far from 0 at little cost where they follow the
directions V. g is one of SCALES, chosen with C; that is no baseline any more.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from scipy.sparse import hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from charlm.evaluation.classification import IntArray
from charlm.evaluation.counted_words import (
    COUNTING,
    MOST_WEIGHTS,
    CountedWords,
    Floats,
    vectoriser,
)
from charlm.evaluation.latent_semantics import LatentSemantics

CANDIDATES: Final = (1.0, 10.0, 100.0, 1000.0)
USUAL: Final = 10.0
SCALES: Final = (0.0, 3.0)  # g (scripts/LOG.md, "Words of texts without labels")
_FEW: Final = 2_000  # texts, of which a square matrix is quickly decomposed
_MANY: Final = 5_000  # texts, from which on a word of one text only is left out


def fit_words(
    texts: Sequence[str],
    labels: IntArray,
    n_classes: int,
    class_weights: str,
    seed: int,
    valid: tuple[Sequence[str], IntArray] | None = None,
    semantics: LatentSemantics | None = None,
) -> CountedWords:
    """What the words of training texts tell; `class_weights` is "none" or "balanced".

    A class that no training text has gets the share that one text more would have given it.
    """
    most = MOST_WEIGHTS // n_classes - (0 if semantics is None else len(semantics.terms))
    vectors = TfidfVectorizer(min_df=2 if len(texts) >= _MANY else 1, max_features=most, **COUNTING)
    if len(np.unique(labels)) == 1:
        return _shares(labels, n_classes)
    try:
        counted = vectors.fit_transform(texts)
    except ValueError:  # no words at all
        return _shares(labels, n_classes)
    terms = tuple(vectors.get_feature_names_out().tolist())
    idf = np.asarray(vectors.idf_, np.float64)
    known, along = slice(0), None
    if semantics is not None:
        terms, idf, known = semantics.widen(terms, idf)
        counted = vectoriser(terms, idf).transform(texts)
        along = counted[:, known] @ semantics.directions

    def fitted(c: float, scale: float) -> CountedWords:
        model = LogisticRegression(
            C=c,
            class_weight="balanced" if class_weights == "balanced" else None,
            max_iter=1000,
            random_state=seed % 2**32,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            seen, to_terms = coordinates[scale]
            model.fit(seen, labels)
        weights, intercept = to_terms(model.coef_), model.intercept_
        coefficients = weights[:, : len(terms)]
        if scale and semantics is not None:
            more = weights[:, len(terms) :] @ semantics.directions.T
            coefficients[:, known] += scale * more
        if len(intercept) == 1:  # of two classes, only what speaks for the second
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.array([0.0, intercept[0]])
        return CountedWords(
            terms,
            idf,
            np.ascontiguousarray(coefficients, np.float64),
            np.asarray(intercept, np.float64),
            np.asarray(model.classes_, np.int64),
            1 / (len(labels) + n_classes),
            c,
            n_classes,
        )

    scales = SCALES[:1] if along is None else SCALES
    coordinates = {
        g: _coordinates(counted if along is None or not g else hstack([counted, g * along], "csr"))
        for g in scales
    }
    if valid is None or not len(valid[1]):
        return fitted(USUAL, scales[-1])

    def nats(model: CountedWords) -> Any:
        return log_loss(valid[1], model.probabilities(valid[0]), labels=range(n_classes))

    return min((fitted(c, g) for g in scales for c in CANDIDATES), key=nats)


def _coordinates(X: Any) -> tuple[Any, Callable[[Floats], Floats]]:
    """Vectors X (n, F) of texts in fewer coordinates, if these are fewer: Z = X B (n, r), and what
    makes weights (C, F) of those that fit Z.

    The columns of B are orthonormal and span the rows of X. The best weights with an L2 penalty are
    sums of these rows (Kimeldorf & Wahba 1971), so W = V B^T of the V that fits Z best. With
    X X^T = Q L Q^T: Z = Q L^(1/2), B = X^T Q L^(-1/2).
    """
    n, F = X.shape
    if n > min(F, _FEW):
        return X, lambda W: W
    L, Q = np.linalg.eigh((X @ X.T).toarray())
    told = 1e-12 * L[-1] < L  # not what rounding leaves
    L, Q = np.sqrt(L[told]), Q[:, told]
    return Q * L, lambda V: np.asarray(X.T @ ((Q / L) @ V.T)).T


def _shares(labels: IntArray, n_classes: int) -> CountedWords:
    """What can be said without words: how frequent the classes are, one text more in each."""
    counts = np.bincount(labels, minlength=n_classes) + 1.0
    return CountedWords(
        (),
        np.empty(0),
        np.empty((n_classes, 0)),
        np.log(counts / counts.sum()),
        np.arange(n_classes),
        1.0,
        USUAL,
        n_classes,
    )
