"""A network and counts of n-grams, each right where the other is not.

    p(v | ...) = (1 - w) p_network(v | ...) + w p_counts(v | h),   w = w[kind of h]

with h the longest stretch of the last tokens that was counted, and its kind how long it is, how
often it was read and whether one and the same token followed always (`model.kneser_ney`). The
weights are those by which a text that was not trained on costs least, found by expectation
maximisation (Jelinek and Mercer 1980, "Interpolated estimation of Markov source parameters from
sparse data"): the share of the tokens of a kind that come from the counts, for the weight as it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.model.kneser_ney import KneserNey

_ROUNDS = 50
_CAUTION = 20.0  # tokens that each kind has of all kinds together

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class CountMixture:
    """`weights` (kinds,): the share of the counts in each probability."""

    counts: KneserNey
    weights: npt.NDArray[np.float64]

    @classmethod
    def learned(
        cls, counts: KneserNey, nats: Floats, chances: Floats, kinds: Ints
    ) -> "CountMixture":
        """From what a network (`nats` (T,), -log p) and the counts (`chances` (T,), p) say of the
        tokens of a text, and the kinds (T,) of what stands before them."""
        number = np.bincount(kinds, minlength=counts.kinds)
        with np.errstate(over="ignore"):
            ratio = chances * np.exp(nats)  # infinite where the network is out of its depth
        weights, all_of_them = np.full(counts.kinds, 0.5), 0.5
        for _ in range(_ROUNDS):
            w = weights[kinds]
            with np.errstate(divide="ignore"):
                from_counts = 1 / (1 + (1 - w) / (w * ratio))
            found = np.bincount(kinds, from_counts, counts.kinds)
            all_of_them = float((found.sum() + 1) / (number.sum() + 2))
            weights = (found + _CAUTION * all_of_them) / (number + _CAUTION)
        return cls(counts, weights)

    def nats(self, nats: Floats, tokens: Ints, states: Ints, before: Ints) -> Floats:
        """-log p (T,) of tokens (T,), of which the network says `nats`; the others as of
        `KneserNey.chances`."""
        chances, kinds = self.counts.chances(tokens, states, before)
        w = self.weights[kinds]
        return np.asarray(-np.logaddexp(np.log1p(-w) - nats, np.log(w) + np.log(chances)))

    def log_probabilities(self, expected: Floats, before: Ints, state: int) -> Floats:
        """log p (V,) of what comes next, of which the network says `expected` (log p, V)."""
        chances, kind = self.counts.distribution(before, state)
        w = self.weights[kind]
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp(np.log1p(-w) + expected, np.log(w) + np.log(chances)))
