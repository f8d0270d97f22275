"""Whether a classifier is right as often as it says: one temperature, and the error that is left.

    p = softmax(z / T)                                        (Guo et al. 2017, arXiv 1706.04599,
    ECE = sum over bins b of n_b / n |accuracy_b - confidence_b|                  section 2 and 4.2)

T is fitted on validation texts; it changes no answer. Confidence is the probability of the
answer; there are 15 bins of equal width. Fitted to 0 and 1, T would go to 0 where all of a few
texts are right. So, as Platt (1999, section 2.2) has it, the targets are those of one text more
of which nothing is known: (n + 1/C) / (n + 1) for the label and 1/C / (n + 1) for the others.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from charlm.evaluation.classification import FloatArray, IntArray

BINS: Final = 15
_RANGE: Final = (-7.0, 7.0)  # of log(1 / T)
_HALVINGS: Final = 50


def probabilities_at(logits: FloatArray, temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """softmax(z / T) of each text: (n, C) -> (n, C)."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """The T with the least nats on these texts; 1 where there are none.

    The nats are convex in 1/T, with the derivative mean(E_p[z] - E_target[z]), which is
    halved to its zero. logits (n, C), labels (n,).
    """
    n = len(labels)
    if n == 0:
        return 1.0
    scores = np.asarray(logits, np.float64)
    own = scores[np.arange(n), labels].mean()
    aim = (n * own + scores.mean()) / (n + 1)
    low, high = _RANGE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = (probabilities_at(scores, np.exp(-middle)) * scores).sum(axis=1).mean()
        low, high = (middle, high) if expected < aim else (low, middle)
    return float(np.exp(-(low + high) / 2))


def reliability(
    probabilities: FloatArray, labels: IntArray, bins: int = BINS
) -> list[dict[str, Any]]:
    """Of each bin with texts in it: its borders, n, mean confidence and accuracy."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # (low, high], as Guo et al. have it.
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return [
        {
            "low": found / bins,
            "high": (found + 1) / bins,
            "n": int((number == found).sum()),
            "confidence": float(confidence[number == found].mean()),
            "accuracy": float(right[number == found].mean()),
        }
        for found in np.unique(number).tolist()
    ]


def expected_calibration_error(
    probabilities: FloatArray, labels: IntArray, bins: int = BINS
) -> float:
    """How far confidence and accuracy are apart on average, from 0 (calibrated) to 1."""
    found = reliability(probabilities, labels, bins)
    gaps = [row["n"] * abs(row["accuracy"] - row["confidence"]) for row in found]
    return float(sum(gaps) / len(labels))


def calibration_figures(logits: FloatArray, labels: IntArray, temperature: float) -> dict[str, Any]:
    """The error on these texts before (T = 1) and after, and the bins it is made of."""
    both = {
        "before": probabilities_at(logits),
        "after": probabilities_at(logits, temperature),
    }
    errors: dict[str, Any] = {
        name: expected_calibration_error(p, labels) for name, p in both.items()
    }
    bins = {name: reliability(p, labels) for name, p in both.items()}
    return {**errors, "reliability": bins}
