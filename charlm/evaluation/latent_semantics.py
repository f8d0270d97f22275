"""Which words go together, from text without labels: latent semantic analysis.

    X = U S V^T      tfidf vectors of N passages (N, F); the K largest singular values S
    z = V^T x        where a text with the vector x lies along the K directions in which passages
                     differ most: words that come in the same passages share them

(Deerwester et al. 1990, "Indexing by latent semantic analysis"; by scikit-learn.) A word that no
labelled text has is known here by the company it keeps in the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from charlm.evaluation.counted_words import COUNTING, MOST_WEIGHTS, Floats

DIRECTIONS: Final = 200
MOST_TERMS: Final = 20_000
_A_DIRECTION: Final = 4  # words, and passages, to each of them at least
_LEAST_PASSAGES: Final = 3  # that a word must be in: of fewer no company can be told
_NOTHING: Final = 1e-6  # of the largest singular value: what rounding leaves
_SINGLE: Final = COUNTING | {"ngram_range": (1, 1)}


@dataclass(frozen=True, eq=False)
class LatentSemantics:
    """terms (F): in order; idf (F,); directions V (F, K), each of length 1."""

    terms: tuple[str, ...]
    idf: Floats
    directions: npt.NDArray[np.float32]

    def widen(self, terms: Sequence[str], idf: Floats) -> tuple[tuple[str, ...], Floats, Any]:
        """Terms that were counted elsewhere and these, in order; their idf, which for those that
        both have is the one of more text; and the places of these among them."""
        every = sorted({*terms, *self.terms})
        place = {term: number for number, term in enumerate(every)}
        theirs, ours = (
            np.array([place[term] for term in some], int) for some in (terms, self.terms)
        )
        found = np.empty(len(every))
        found[theirs] = idf
        found[ours] = self.idf
        return tuple(every), found, ours


def analyse(passages: Sequence[str], n_classes: int, seed: int) -> LatentSemantics | None:
    """What the passages tell, at most half of what can be kept for so many classes; None where
    there is nothing to tell: hardly a word that is in three passages."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    most = min(MOST_TERMS, MOST_WEIGHTS // n_classes // 2)
    vectors = TfidfVectorizer(min_df=_LEAST_PASSAGES, max_features=most, **_SINGLE)
    try:
        counted: Any = vectors.fit_transform(passages)
    except ValueError:  # no word is left
        return None
    # As many directions as words would hold nothing together.
    size = min(DIRECTIONS, *(n // _A_DIRECTION for n in counted.shape))
    if size < 1:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):  # passages that are all alike
        svd = TruncatedSVD(size, random_state=seed % 2**32).fit(counted)
    told = svd.singular_values_ > _NOTHING * svd.singular_values_[0]
    return LatentSemantics(
        tuple(vectors.get_feature_names_out().tolist()),
        np.asarray(vectors.idf_, np.float64),
        np.ascontiguousarray(svd.components_[told].T, np.float32),
    )
