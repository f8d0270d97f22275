"""A network and its words' model together: what each of them knows and the other does not.

    p(c) = exp(a log p_net(c) + b log p_words(c)) / sum over classes c' of the same,   a, b >= 0

a logarithmic opinion pool (Genest & Zidek 1986, "Combining probability distributions: a critique
and an annotated bibliography", section 3), which Hinton (2002, "Training products of experts by
minimizing contrastive divergence") calls a product of experts. p_net is not calibrated: 1 / T of
its temperature T (`calibration`) is in a. a and b have the least of

    sum over the validation texts of -log p  +  CAUTION / 2 ((a T)^2 + (b - 1)^2),

in both of which it is convex: the maximum a posteriori of weights that are normal about (0, 1),
the words alone. A network has to earn its weight, because the validation texts flatter it: they
chose its epoch and its temperature, and there are often too few of them to tell two weights.
Without any a and b are 1/2, the geometric mean.

As in `calibration`, and for its reason, the targets are those of one text more of which nothing is
known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from charlm.evaluation.calibration import fit_temperature, probabilities_at
from charlm.evaluation.classification import FloatArray, IntArray
from charlm.evaluation.counted_words import CountedWords, Floats

UNFITTED: Final = (0.5, 0.5)
MOST: Final = 1000.0  # of a and b
# Of 3 to 100, on reports, sections and sentences with 100 to 819 labels: scripts/LOG.md, "What few
# validation texts tell of two weights".
CAUTION: Final = 20.0


@dataclass(frozen=True, eq=False)
class Together:
    """The words' model, and the weights (a, b) of the network and of it."""

    words: CountedWords
    weights: tuple[float, float]

    def probabilities(self, logits: FloatArray, texts: Sequence[str]) -> Floats:
        """Of each text, of which the network's logits are (n, C): (n, C)."""
        return pooled(logits, self.words.log_probabilities(texts), self.weights)


def pooled(logits: FloatArray, words: FloatArray, weights: tuple[float, float]) -> Floats:
    """p of each text (n, C), from logits (n, C) and log p_words (n, C)."""
    a, b = weights
    return probabilities_at(a * np.asarray(logits, np.float64) + b * words)


def fit_weights(logits: FloatArray, words: FloatArray, labels: IntArray) -> tuple[float, float]:
    """The a and b of this module's equation, from these texts; UNFITTED where there are none.

    logits and log p_words (n, C), labels (n,). The derivatives of the mean of -log p are
    E_p[z] - E_target[z].
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    n = len(labels)
    if n == 0:
        return UNFITTED
    temperature = fit_temperature(logits, labels)
    z = np.stack([np.asarray(logits, np.float64) / temperature, np.asarray(words, np.float64)])
    z = z - z.max(axis=2, keepdims=True)
    aim = (z[:, np.arange(n), labels].sum(axis=1) + z.mean(axis=(1, 2))) / (n + 1)
    words_alone = np.array([0.0, 1.0])

    def loss(weights: Floats) -> tuple[Any, Any]:
        mixed = np.tensordot(weights, z, axes=1)
        off = weights - words_alone
        slope = (probabilities_at(mixed) * z).sum(axis=2).mean(axis=1) - aim
        nats = logsumexp(mixed, axis=1).mean() - weights @ aim
        return nats + CAUTION / 2 / n * (off @ off), slope + CAUTION / n * off

    found = minimize(
        loss,
        words_alone,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, MOST * temperature), (0, MOST)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return float(found.x[0] / temperature), float(found.x[1])
