"""What a network has to beat: TF-IDF of words and word pairs, and logistic regression.

Words and pairs of neighbouring words by 1 + log(count) times the inverse document frequency
(sublinear TF-IDF; Salton & Buckley 1988), each text of length 1; multinomial logistic
regression with an L2 penalty. All by scikit-learn. C, the inverse of the penalty, is the one of
CANDIDATES with the least nats on the validation texts, where there are some.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from charlm.evaluation.classification import IntArray
from charlm.text.near_duplicates import UNSPACED

CANDIDATES: Final = (1.0, 10.0, 100.0, 1000.0)
USUAL: Final = 10.0
_WORD: Final = f"[{UNSPACED}]|[^\\W{UNSPACED}]{{2,}}"
_MANY: Final = 5_000  # texts, from which on a word of one text only is left out
_MOST_WEIGHTS: Final = 4_000_000  # features x classes; the solver holds some 25 arrays of them


def baseline_probabilities(
    train_texts: Sequence[str],
    train_labels: IntArray,
    texts: Sequence[str],
    n_classes: int,
    class_weights: str,
    seed: int,
    valid: tuple[Sequence[str], IntArray] | None = None,
) -> npt.NDArray[np.float64]:
    """The probabilities (n, C) of `texts`; `class_weights` is "none" or "balanced".

    A class that no training text has gets the share that one text more would have given it.
    """
    vectors = TfidfVectorizer(
        token_pattern=_WORD,
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=2 if len(train_texts) >= _MANY else 1,
        max_features=_MOST_WEIGHTS // n_classes,
    )
    try:
        known = vectors.fit_transform(train_texts)
    except ValueError:  # no words at all
        return _shares(train_labels, len(texts), n_classes)
    if len(np.unique(train_labels)) == 1:
        return _shares(train_labels, len(texts), n_classes)

    def fitted(c: float) -> Any:
        model = LogisticRegression(
            C=c,
            class_weight="balanced" if class_weights == "balanced" else None,
            max_iter=1000,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(known, train_labels)

    def answers(model: Any, vectors: Any) -> npt.NDArray[np.float64]:
        missing = 1 / (len(train_labels) + n_classes)
        found = np.full((vectors.shape[0], n_classes), missing)
        found[:, model.classes_] = model.predict_proba(vectors)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    if valid is None or not len(valid[1]):
        best = fitted(USUAL)
    else:
        theirs = vectors.transform(valid[0])
        models = [fitted(c) for c in CANDIDATES]
        nats = [
            log_loss(valid[1], answers(model, theirs), labels=range(n_classes)) for model in models
        ]
        best = models[int(np.argmin(nats))]
    return answers(best, vectors.transform(texts))


def _shares(labels: IntArray, n: int, n_classes: int) -> npt.NDArray[np.float64]:
    """What can be said without words: how frequent the classes are, one text more in each."""
    counts = np.bincount(labels, minlength=n_classes) + 1.0
    return np.tile(counts / counts.sum(), (n, 1))
