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


def segments(
    model: LanguageModel,
    grammar: Grammar,
    ids: np.ndarray,
    begin: int,
    end: int,
    first_input: int,
    length: int,
    differentiable: bool,
) -> Iterator[Segment]:
    """ids[begin:end] in segments of `length`, from the empty state, `first_input` before them.

    The state is carried from segment to segment, the gradient is not (`differentiable`: outputs
    have one). Whoever takes a segment may change the weights before taking the next.
    """
    device = model.decoder.bias.device
    state = model.empty_state(1)
    spelling = np.array([grammar.state_before(ids, begin)])
    for place in range(begin, end, length):
        targets = ids[place : min(place + length, end), None].astype(np.int64)
        inputs = np.concatenate([[[first_input]], targets[:-1]])
        first_input = int(targets[-1, 0])
        with torch.set_grad_enabled(differentiable):
            passed = model(torch.from_numpy(inputs).to(device), state)
        state = tuple(tuple(part.detach() for part in layer) for layer in passed.state)
        states, spelling = grammar.run(spelling, targets)
        yield Segment(targets, states, passed.outputs)
