"""A stored model, many tokens at a time, compiled: weights cut to bf16, torch and numba not needed.

The equations of `decoder`, computed in one loop that draws as well (`native.steps`). The weights
are a quarter of a percent off, the sums are float32: what that costs is measured (scripts/LOG.md).
A stream's numbers have the same bits whatever number of streams is computed beside it.
"""

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import Config
from charlm.generation.native import layout
from charlm.generation.native.build import NotCompiledError, Say, steps
from charlm.generation.native.choice import choice_of
from charlm.generation.native.packing import aligned, code_of, pack
from charlm.generation.settings import SamplingSettings
from charlm.generation.weights import Weights, checked_cell, hidden_sizes
from charlm.model.cells.base import Cell

_READ, _EXPECT, _WRITE = range(3)  # as in `native.steps`, which imports numba

State = npt.NDArray[np.float32]  # (N, all of a stream's numbers)

_Written = tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], State]  # ids, nats (T, N); after

_PART = 12  # streams: fewer are not worth a thread of their own


class Rules:
    """Which token may follow which (`text.tokenizers.base.Grammar`), as the compiled loop reads it.

    `openings`: (V,) what may come first in a text, or None where everything may, of one text or
    several; `first` holds for each the state that stands for that.
    """

    def __init__(self, grammar: Any, openings: Sequence[npt.NDArray[np.bool_] | None]) -> None:
        count = len(grammar.next_state)
        restricted = [mask for mask in openings if mask is not None]
        states = iter(range(count, count + len(restricted)))
        self.first = [0 if mask is None else next(states) for mask in openings]
        start, drawable = grammar.next_state[:1], grammar.drawable
        following = np.concatenate([grammar.next_state, *[start] * len(restricted)])
        drawable = np.concatenate([drawable, *(drawable[:1] & mask for mask in restricted)])
        self.following = np.ascontiguousarray(following, np.uint8)
        self.drawable = np.ascontiguousarray(drawable).view(np.uint8)


class CompiledDecoder:
    """N streams as `decoder.Decoder` has them, and `write`, which draws many tokens at once.

    `weights`: float32. NotCompiledError: there is no compiled code for this cell or on this
    machine. RunError: as `weights.hidden_sizes`.
    """

    together = 64  # streams: more gain nothing at 512 units

    def __init__(
        self,
        cell: Cell,
        weights: Weights,
        bias: bool,
        zoneout: float,
        ngram_order: int,
        say: Say,
    ) -> None:
        sizes = hidden_sizes(cell, weights, bias)
        if code_of(cell) is None or weights["embedding.weight"].dtype != np.float32:
            raise NotCompiledError(f"there are no compiled steps for {cell.name}")
        self._steps, self._zoneout = steps(say), zoneout
        self._model = pack(cell, weights, sizes, ngram_order)
        arrays = (self._model.numbers, self._model.weights, self._model.floats, self._model.table)
        self._pointers = [array.ctypes.data for array in arrays]
        self._threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self._vocabulary = int(self._model.numbers[layout.VOCABULARY])

    def empty_state(self, streams: int) -> State:
        """Zeros; what comes before any text."""
        return np.zeros((streams, self._model.state_step), np.float32)

    def advance(self, ids: Iterable[int], state: State) -> State:
        """The state after each of N streams has read its token of `ids` (N,)."""
        tokens = np.fromiter(ids, np.int32, len(state))
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self._vocabulary:
            raise IndexError(f"a token is not among the {self._vocabulary} of the model")
        after = state.copy()
        self._run(_READ, len(state), 1, after, self._scratch(len(state)), tokens.ctypes.data)
        return after

    def logits(self, state: State) -> npt.NDArray[np.float32]:
        """What `state` expects next: (N, V)."""
        scratch = self._scratch(len(state))
        self._run(_EXPECT, len(state), 0, np.ascontiguousarray(state), scratch)
        begin = int(self._model.numbers[layout.LOGITS_AT])
        return scratch.reshape(len(state), -1)[:, begin : begin + self._vocabulary]

    def write(
        self,
        state: State,
        rules: Rules,
        spelling: npt.NDArray[np.uint8],
        uniforms: npt.NDArray[np.float64],
        sampling: SamplingSettings,
    ) -> _Written:
        """T tokens of each stream (T, N), what they cost in nats, and the state after them.

        As `generation.sampling` draws and counts, of what the filters leave that `sampling` asks
        for; `native.choice` says which of them can be. `spelling` (N,): each stream's state in
        the grammar; `uniforms` (T, N): a number from 0 to 1 for each draw.
        """
        streams = len(state)
        parts = min(self._threads, max(1, streams // _PART))
        borders = [streams * part // parts for part in range(parts + 1)]

        def one(begin: int, end: int) -> _Written:
            own = slice(begin, end)
            return self._write(state[own], rules, spelling[own], uniforms[:, own], sampling)

        ahead = [self._pool.submit(one, *part) for part in pairwise(borders[:-1])]
        last = one(borders[-2], streams)
        written = [*(part.result() for part in ahead), last]
        ids, nats, after = zip(*written, strict=True)
        return np.concatenate(ids, axis=1), np.concatenate(nats, axis=1), np.concatenate(after)

    def _write(
        self,
        state: State,
        rules: Rules,
        spelling: npt.NDArray[np.uint8],
        uniforms: npt.NDArray[np.float64],
        sampling: SamplingSettings,
    ) -> _Written:
        length, streams = uniforms.shape
        ids = np.empty((length, streams), np.int32)
        costs = np.empty((length, streams, 2), np.float64)
        choice = choice_of(sampling, self._vocabulary)
        after, spelling, uniforms = state.copy(), spelling.copy(), uniforms.copy()
        self._run(
            _WRITE,
            streams,
            length,
            after,
            self._scratch(streams),
            ids.ctypes.data,
            rules.following.ctypes.data,
            rules.drawable.ctypes.data,
            spelling.ctypes.data,
            uniforms.ctypes.data,
            costs.ctypes.data,
            choice.ctypes.data,
        )
        return ids, np.log(costs[..., 0]) + costs[..., 1], after

    @cached_property
    def _pool(self) -> Any:
        from concurrent.futures import ThreadPoolExecutor  # one stream needs none

        return ThreadPoolExecutor(self._threads)

    def _scratch(self, streams: int) -> npt.NDArray[np.float32]:
        return aligned(streams * self._model.scratch_step, np.float32)

    def _run(
        self,
        what: int,
        streams: int,
        length: int,
        state: State,
        scratch: npt.NDArray[np.float32],
        ids: int | None = None,
        following: int | None = None,
        drawable: int | None = None,
        spelling: int | None = None,
        uniforms: int | None = None,
        costs: int | None = None,
        choice: int | None = None,
    ) -> None:
        self._steps(
            what, streams, length, *self._pointers, state.ctypes.data,
            scratch.ctypes.data, ids, following, drawable, spelling, uniforms, costs,
            choice, self._zoneout,
        )  # fmt: skip


def compiled_decoder_of(config: Config, weights: Weights, say: Say) -> CompiledDecoder:
    """The compiled decoder of a run's resolved configuration and its weights.

    `say` hears of what takes long. RunError, NotCompiledError: as the decoder's own.
    """
    cell = checked_cell(config, weights)
    bias, zoneout, order = config.model.bias, config.zoneout, config.ngram_order
    return CompiledDecoder(cell, weights, bias, zoneout, order, say)
