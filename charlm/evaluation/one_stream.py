"""A document read as one stream, segment by segment, by whoever learns or remembers on the way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from charlm.model.language_model import LanguageModel
from charlm.text.tokenizers.base import Grammar


@dataclass(frozen=True)
class Segment:
    """T tokens of a stream, with what the model puts out before each of them."""

    targets: np.ndarray  # (T, 1)
    states: np.ndarray  # (T, 1) of the spelling automaton before each
    outputs: Tensor  # (T, 1, H)


class OneStream:
    """Where the reading of a text stands: the model's state, the automaton's, the last token."""

    def __init__(self, model: LanguageModel, grammar: Grammar, boundary_id: int) -> None:
        self.model, self.grammar, self.boundary_id = model, grammar, boundary_id
        self.device = model.device
        self.begin()

    def begin(self, before: int | None = None, spelling: int = 0) -> None:
        """Go to the empty state; `before`: the token that comes first in, if not the boundary."""
        self._state = self.model.empty_state(1)
        self._before = self.boundary_id if before is None else before
        self._spelling = np.array([spelling])

    def segments(self, ids: np.ndarray, length: int, differentiable: bool) -> Iterator[Segment]:
        """ids (N,), read on from where it stands, in segments of `length`.

        The state is carried from segment to segment, the gradient is not (`differentiable`:
        outputs have one). Whoever takes a segment may change the weights before taking the next.
        """
        for place in range(0, len(ids), length):
            targets = ids[place : place + length, None].astype(np.int64)
            inputs = np.concatenate([[[self._before]], targets[:-1]])
            self._before = int(targets[-1, 0])
            with torch.set_grad_enabled(differentiable):
                passed = self.model(torch.from_numpy(inputs).to(self.device), self._state)
            self._state = tuple(tuple(part.detach() for part in layer) for layer in passed.state)
            states, self._spelling = self.grammar.run(self._spelling, targets)
            yield Segment(targets, states, passed.outputs)
