"""A series carried on: paths drawn from a model whose words are numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.draws import Draws
from charlm.generation.compiled import CompiledDecoder, Rules
from charlm.generation.context import StepDecoder, rows_of
from charlm.generation.sampling import choose
from charlm.generation.settings import SamplingSettings
from charlm.text.levels import Levels
from charlm.text.series import Values
from charlm.text.tokenizers.base import Grammar, Tokenizer


class PathDrawer:
    """Draws what may come after a history: numbers alone, no line break and no missing value.

    A level stands for all values nearer to it than half a step, so each drawn value is one of
    these, as likely as any other.
    """

    def __init__(self, decoder: StepDecoder, tokenizer: Tokenizer, levels: Levels) -> None:
        self._decoder, self._levels = decoder, levels
        self._boundary = tokenizer.boundary_id
        self._value = np.full(levels.vocabulary_size, np.nan)  # (V,) of each token
        self._value[levels.tokens] = levels.values
        self._legal = ~np.isnan(self._value)
        self._rules = Rules(_numbers_alone(self._legal), [])

    def states(self, ids: npt.NDArray[np.intp], after: Sequence[int]) -> list[Any]:
        """The states after so many tokens of a series, in rising order, from the empty state."""
        state = self._decoder.advance([self._boundary], self._decoder.empty_state(1))
        found, read = [], 0
        for end in after:
            for token in ids[read:end].tolist():
                state = self._decoder.advance([token], state)
            read = end
            found.append(state)
        return found

    def draw(self, state: Any, horizon: int, paths: int, seed: int, number: int = 0) -> Values:
        """(P, H) the next H values of P paths; path i is the same whatever P is.

        `number`: of this history among several whose draws are to be independent.
        """
        uniforms = Draws(seed, number).numpy("paths").random((paths, 2, horizon))
        streams = rows_of(state, np.zeros(paths, np.intp))
        drawn = self._tokens(streams, np.ascontiguousarray(uniforms[:, 0].T))  # (H, P)
        within = (uniforms[:, 1] - 0.5) * self._levels.step
        return self._value[drawn.T] + within  # type: ignore[no-any-return]

    def _tokens(self, state: Any, uniforms: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """(H, P) tokens, one for each of the uniform numbers."""
        decoder = self._decoder
        if isinstance(decoder, CompiledDecoder):
            begin = np.zeros(uniforms.shape[1], np.uint8)
            return decoder.write(state, self._rules, begin, uniforms, SamplingSettings())[0]
        found = []
        for row in uniforms:
            logits = np.where(self._legal, decoder.logits(state), -np.inf)  # (P, V)
            tokens = [choose(each, u) for each, u in zip(logits, row.tolist(), strict=True)]
            found.append(tokens)
            state = decoder.advance(tokens, state)
        return np.array(found)


def _numbers_alone(legal: npt.NDArray[np.bool_]) -> Grammar:
    """One state, in which these tokens may be drawn."""
    shape = (1, len(legal))
    return Grammar(
        next_state=np.zeros(shape, np.uint8),
        legal=legal[None],
        floor_mass=np.zeros(1),
        floor=legal[None] / legal.sum(),
    )
