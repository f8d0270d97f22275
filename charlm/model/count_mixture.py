"""A network and counts of n-grams, each right where the other is not.

    p(v | ...) = w_0 p_network(v | ...) + w_1 p_counts(v | h) + w_2 followers(v | h)

with h the longest stretch of the last tokens that was counted (`model.kneser_ney`). The weights
add up to 1, and are those of the kind of h: how long it is, how often it was read, and whether one
and the same token followed always. They are those by which a text that was not trained on costs
least, found by expectation maximisation (Jelinek and Mercer 1980, "Interpolated estimation of
Markov source parameters from sparse data"): w_i is the share of the tokens of a kind that come from
the i-th, by the weights as they were.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.model.kneser_ney import KneserNey

_ROUNDS = 50
_CAUTION = 20.0  # tokens that each kind has of all kinds together
_TOGETHER = 1 << 13  # tokens looked up at once, some 150 bytes of memory for each
_MOST_NATS = 600.0  # of which an exponential is finite

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class CountMixture:
    """`weights` (3, kinds): of the network, the counts, and what followed h itself."""

    counts: KneserNey
    weights: npt.NDArray[np.float64]

    @classmethod
    def learned(
        cls, counts: KneserNey, nats: Floats, chances: Floats, kinds: Ints
    ) -> "CountMixture":
        """From what a network (`nats` (T,), -log p) and the counts (`chances` (2, T), p) say of the
        tokens of a text, and the kinds (T,) of what stands before them."""
        # Against the network, so that none is too small for a float.
        says = np.stack([np.ones(len(nats)), *chances * np.exp(np.minimum(nats, _MOST_NATS))])
        number = np.bincount(kinds, minlength=counts.kinds)
        weights = np.full((len(says), counts.kinds), 1 / len(says))
        for _ in range(_ROUNDS):
            shares = weights[:, kinds] * says
            shares /= shares.sum(axis=0)
            found = np.stack([np.bincount(kinds, share, counts.kinds) for share in shares])
            of_all = (found.sum(axis=1, keepdims=True) + 1) / (number.sum() + len(says))
            weights = (found + _CAUTION * of_all) / (number + _CAUTION)
        return cls(counts, weights)

    def nats(self, nats: Floats, tokens: Ints, states: Ints, before: Ints) -> Floats:
        """-log p (T,) of tokens (T,), of which the network says `nats`; the others as of
        `KneserNey.chances`."""
        found: list[Floats] = [np.empty(0)]
        for begin in range(0, len(tokens), _TOGETHER):
            here = slice(begin, begin + _TOGETHER)
            chances, kinds = self.counts.chances(tokens[here], states[here], before)
            found.append(-_mixed(-nats[here], chances, self.weights[:, kinds]))
            before = np.concatenate([before, tokens[here]])[-self.counts.order :]
        return np.concatenate(found)

    def log_probabilities(self, expected: Floats, before: Ints, state: int) -> Floats:
        """log p (V,) of what comes next, of which the network says `expected` (log p, V)."""
        chances, kind = self.counts.distribution(before, state)
        return _mixed(expected, chances, self.weights[:, [kind]])


def _mixed(expected: Floats, chances: Floats, weights: Floats) -> Floats:
    """log p (N,) of log p (N,), p (2, N) and weights (3, N or 1)."""
    with np.errstate(divide="ignore"):  # what is not legal has no chance
        counted = np.log((weights[1:] * chances).sum(axis=0))
    return np.asarray(np.logaddexp(np.log(weights[0]) + expected, counted))
