"""A decoder with a neural cache beside it, of the moments of the prompt and of what was written.

The equations are those of `evaluation.neural_cache`, a step at a time and without torch: what the
model expects is its softmax over the legal tokens, and `logits` are the logarithms of the mixture.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.adaptation import CacheSettings
from charlm.generation.decoder import Decoder
from charlm.generation.filters import legal_only, log_probabilities
from charlm.text.tokenizers.base import Grammar

# Of the decoder, then what is remembered: outputs (N, M, H) and the tokens that followed (N, M),
# and the grammar's state (N,); nothing before the boundary token has been read.
CachedState = tuple[Any, tuple[npt.NDArray[Any], ...]]


class CachedDecoder:
    """Streams of `decoder`, each with the last `cache_size` of its own moments."""

    together = 1

    def __init__(self, decoder: Decoder, grammar: Grammar, settings: CacheSettings) -> None:
        self._decoder, self._grammar = decoder, grammar
        self._size, self._theta = settings.cache_size, settings.cache_theta
        self._weight = settings.cache_weight

    def empty_state(self, streams: int) -> CachedState:
        """Zeros, and nothing to remember."""
        return self._decoder.empty_state(streams), ()

    def advance(self, ids: Iterable[int], state: CachedState) -> CachedState:
        """The state after each of N streams has read its token of `ids` (N,)."""
        tokens = np.fromiter(ids, np.int64)
        after = self._decoder.advance(tokens, state[0])
        outputs = self._decoder.outputs(state[0])[:, None]  # (N, 1, H)
        if not state[1]:  # this is the boundary token, which nothing expected
            nothing = outputs[:, :0], tokens[:, None][:, :0], np.zeros(len(tokens), np.uint8)
            return after, nothing
        keys, followed, spelling = state[1]
        keys = np.concatenate([keys, outputs], axis=1)[:, -self._size :]
        followed = np.concatenate([followed, tokens[:, None]], axis=1)[:, -self._size :]
        return after, (keys, followed, self._grammar.next_state[spelling, tokens])

    def logits(self, state: CachedState) -> npt.NDArray[np.floating[Any]]:
        """log p of what `state` expects next: (N, V), -inf for what is not legal."""
        keys, followed, spelling = state[1]
        legal = self._grammar.legal[spelling]  # (N, V)
        expected = log_probabilities(legal_only(self._decoder.logits(state[0]), legal))
        rows = np.arange(len(legal))[:, None]
        scores = self._theta * (keys @ self._decoder.outputs(state[0])[:, :, None])[:, :, 0]
        usable = legal[rows, followed]
        there = usable.any(axis=1)
        if not there.any() or not self._weight:
            return expected
        scores = legal_only(scores, usable)[there]
        chances = np.exp(log_probabilities(scores))  # (N', M)
        cached = np.zeros((int(there.sum()), legal.shape[1]))
        np.add.at(cached, (np.arange(len(cached))[:, None], followed[there]), chances)
        with np.errstate(divide="ignore"):
            remembered = np.log(self._weight) + np.log(cached)
        expected[there] = np.logaddexp(np.log1p(-self._weight) + expected[there], remembered)
        return expected
