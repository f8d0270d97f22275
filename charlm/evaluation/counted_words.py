"""A text's classes by its words: what logistic regression on TF-IDF says, from its numbers alone.

    tfidf_j = (1 + log(count_j)) idf_j, each text of length 1     (Salton & Buckley 1988)
    p(c)    = softmax(W tfidf + w)_c

of the words and pairs of neighbouring words that were counted in training. scikit-learn counts
them, and is imported only when a text is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from charlm.text.near_duplicates import UNSPACED

Floats = npt.NDArray[np.float64]

# How words are told apart and weighed, in fitting and ever after.
COUNTING: Final[dict[str, Any]] = {
    "token_pattern": f"[{UNSPACED}]|[^\\W{UNSPACED}]{{2,}}",
    "ngram_range": (1, 2),
    "sublinear_tf": True,
}
MOST_WEIGHTS: Final = 4_000_000  # terms x classes; the solver holds some 25 arrays of them


@dataclass(frozen=True, eq=False)
class CountedWords:
    """F terms, C classes, of which the training texts have K.

    terms: in order; idf (F,); coefficients (K, F) and intercept (K,) of the classes at the places
    `known` (K,); missing: the share of each other class, before all are made to sum to 1;
    penalty: the inverse of the L2 penalty.
    """

    terms: tuple[str, ...]
    idf: Floats
    coefficients: Floats
    intercept: Floats
    known: npt.NDArray[np.int64]
    missing: float
    penalty: float
    n_classes: int

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """log p of each class, all of them finite: n texts -> (n, C)."""
        scores = np.tile(self.intercept, (len(texts), 1))
        if self.terms and len(texts):
            scores += self._vectors.transform(texts) @ self.coefficients.T
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        found = np.full((len(texts), self.n_classes), np.log(self.missing))
        found[:, self.known] = scores
        total = 1 + (self.n_classes - len(self.known)) * self.missing
        return np.asarray(found - np.log(total))

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """p of each class: n texts -> (n, C)."""
        return np.asarray(np.exp(self.log_probabilities(texts)))

    @cached_property
    def _vectors(self) -> Any:
        return vectoriser(self.terms, self.idf)


def vectoriser(terms: Sequence[str], idf: Floats) -> Any:
    """scikit-learn's, which makes the vectors above of texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    places = {term: place for place, term in enumerate(terms)}
    vectors = TfidfVectorizer(vocabulary=places, **COUNTING)
    vectors.idf_ = idf
    return vectors
