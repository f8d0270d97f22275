"""A decoder with counts of n-grams beside it (`model.count_mixture`), a step at a time.

What the model expects is its softmax over the legal tokens, and `logits` are the logarithms of the
mixture.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.context import StepDecoder
from charlm.generation.filters import legal_only, log_probabilities
from charlm.model.count_mixture import CountMixture
from charlm.text.tokenizers.base import Grammar

# Of the decoder, then the last tokens (N, M) and the grammar's state (N,).
CountedState = tuple[Any, tuple[npt.NDArray[Any], ...]]


class CountedDecoder:
    """Streams of `decoder`, each with the last tokens that it has read."""

    together = 1

    def __init__(self, decoder: StepDecoder, grammar: Grammar, mixture: CountMixture) -> None:
        self._decoder, self._grammar, self._mixture = decoder, grammar, mixture

    def empty_state(self, streams: int) -> CountedState:
        """As of the decoder, and no token."""
        nothing = np.zeros((streams, 0), np.int64), np.zeros(streams, np.uint8)
        return self._decoder.empty_state(streams), nothing

    def advance(self, ids: Iterable[int], state: CountedState) -> CountedState:
        """The state after each of N streams has read its token of `ids` (N,)."""
        tokens = np.fromiter(ids, np.int64)
        after = self._decoder.advance(tokens, state[0])
        before, spelling = state[1]
        if before.shape[1]:  # else this is the boundary token, which is before any text
            spelling = self._grammar.next_state[spelling, tokens]
        kept = max(1, self._mixture.counts.order - 1)
        before = np.concatenate([before, tokens[:, None]], axis=1)[:, -kept:]
        return after, (before, spelling)

    def logits(self, state: CountedState) -> npt.NDArray[np.floating[Any]]:
        """log p of what `state` expects next: (N, V), -inf for what is not legal."""
        before, spelling = state[1]
        legal = self._grammar.legal[spelling]  # (N, V)
        expected = log_probabilities(legal_only(self._decoder.logits(state[0]), legal))
        mixed = self._mixture.log_probabilities
        rows = zip(expected, before, spelling, strict=True)
        return np.stack([mixed(row, tokens, int(at)) for row, tokens, at in rows])
