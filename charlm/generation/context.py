"""What a sample begins from: a model that has read the prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charlm.text.tokenizers.base import Tokenizer


class StepDecoder(Protocol):
    """A model that reads a token at a time (`decoder.Decoder`).

    `together`: the most streams that are worth computing side by side, 1 where their numbers
    would not be those of each alone.
    """

    @property
    def together(self) -> int: ...

    def empty_state(self, streams: int) -> Any: ...

    def advance(self, ids: Iterable[int], state: Any) -> Any: ...

    def logits(self, state: Any) -> npt.NDArray[np.floating[Any]]: ...


@dataclass(frozen=True)
class Context:
    """A prompt, its ids in the order in which the model read them, and the state after it."""

    decoder: StepDecoder
    tokenizer: Tokenizer
    prompt: str
    ids: Sequence[int]
    state: Any  # of one stream

    @classmethod
    def read(
        cls, decoder: StepDecoder, tokenizer: Tokenizer, prompt: str, ids: Sequence[int]
    ) -> "Context":
        """From the empty state, after one unscored boundary token."""
        state = decoder.empty_state(1)
        for token in (tokenizer.boundary_id, *ids):
            state = decoder.advance([token], state)
        return cls(decoder, tokenizer, prompt, ids, state)


def rows_of(state: Any, rows: npt.NDArray[np.intp]) -> Any:
    """The state of these streams, copied; a state is arrays (N, ...) in tuples."""
    if isinstance(state, tuple):
        return tuple(rows_of(part, rows) for part in state)
    return state[rows]
