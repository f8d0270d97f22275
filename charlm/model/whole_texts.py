"""Reading whole texts with an encoder: many side by side, however long, in bounded memory.

BPTT for text classification (Howard & Ruder 2018, sec. 3.3): a text is read in chunks, each from
the state that the one before ended in. The gradient ends where a chunk begins, but goes into
every chunk through what is pooled.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from charlm.draws import Draws
from charlm.model.cells.base import make_cell
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Encoder, Passed
from charlm.model.pooling import Pooled
from charlm.model.stack import StackState

# What a batch may keep of its gates and outputs for the way back. One that would need more keeps
# the states between its chunks only, and reads each chunk a second time: a third more work.
KEPT_BYTES = 2**30


class Texts(NamedTuple):
    """Texts side by side: ids (T, B), padded behind the end of each, and lengths (B,) from 1."""

    ids: Tensor
    lengths: Tensor


# (a chunk's outputs, its first time step) -> something to be summed over the chunks.
OfChunk = Callable[[Passed, int], Tensor]


def read(
    encoder: Encoder,
    texts: Texts,
    chunk: int,
    rates: DropoutRates | None = None,
    draws: Draws | None = None,
    of_chunk: OfChunk | None = None,
) -> tuple[Pooled, Tensor]:
    """What is pooled of the texts' outputs, and the sum of what `of_chunk` finds (else 0).

    What is pooled has no output dropout in it. Where no weight of the encoder learns, there is
    no gradient, and nothing is kept for one.
    """
    T, B = texts.ids.shape
    like = encoder.embedding.weight
    state = encoder.empty_state(B)
    pooled = Pooled.nothing(B, encoder.architecture.output_size, like)
    more = like.new_zeros(())

    def one(begin: int, pooled: Pooled, state: StackState) -> tuple[Pooled, Tensor, StackState]:
        here = None if draws is None else replace(draws, begin=begin)
        passed = encoder(texts.ids[begin : begin + chunk], state, (), rates, here)
        found = like.new_zeros(()) if of_chunk is None else of_chunk(passed, begin)
        return pooled.take_in(passed.undropped, texts.lengths - begin), found, passed.state

    learns = any(weight.requires_grad for weight in encoder.parameters())
    with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
        again = torch.is_grad_enabled() and chunk < T and T * B * _kept(encoder) > KEPT_BYTES
        for begin in range(0, T, chunk):
            step = _recomputed if again else _plain
            pooled, found, state = step(one, begin, pooled, state)
            more = more + found
            state = tuple(tuple(part.detach() for part in layer) for layer in state)
    return pooled, more


def _kept(encoder: Encoder) -> int:
    """Bytes that a token keeps: of each layer the gates there and back, state and output."""
    a = encoder.architecture
    return 4 * (2 * make_cell(a.cell, context=a.context).gates + 4) * sum(a.sizes)


_One = Callable[[int, Pooled, StackState], tuple[Pooled, Tensor, StackState]]


def _plain(
    one: _One, begin: int, pooled: Pooled, state: StackState
) -> tuple[Pooled, Tensor, StackState]:
    return one(begin, pooled, state)


def _recomputed(
    one: _One, begin: int, pooled: Pooled, state: StackState
) -> tuple[Pooled, Tensor, StackState]:
    """The same, keeping nothing of it: the way back begins by going forward again.

    Masks are drawn from (seed, step, place), so the second time is the first. The reentrant
    kind, as our kernels keep what they need themselves; it wants an input that has a gradient.
    """
    after: list[StackState] = []

    def flat(_: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        taken, found, end = one(begin, Pooled(*parts), state)
        after[:] = [end]
        return *taken, found

    learned = torch.zeros((), requires_grad=True)
    *taken, found = checkpoint(flat, learned, *pooled, use_reentrant=True, preserve_rng_state=False)
    return Pooled(*taken), found, after[0]
