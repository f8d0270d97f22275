"""A stored model, one token at a time, without torch.

    e = E[id] + those of n-grams           embedding (V, E), model/ngrams.py
    h_l, ... = cell(W_ih e + b_ih, state)  for each layer l; e of the next layer is h_l;
                                           with zoneout p: p * old + (1-p) * new of each part
    logits = W (P h_L) + b                 or as the layer onto the vocabulary has it (output_layer)

A sequence kernel that is called for one step lays its weights out anew each time; here they
are laid out once, and the first layer's input product, which depends on the token alone,
is kept from one use of a token to the next.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import Config
from charlm.generation.numpy_ops import NumpyOperations
from charlm.generation.output_layer import output_of
from charlm.generation.weights import Weights, checked_cell, hidden_sizes
from charlm.model.cells.base import Cell, State
from charlm.model.ngram_rows import ngram_rows

DecoderState = tuple[
    State, ...
]  # one cell state a layer; where there are n-grams, the tokens before

FOLDED_FLOATS = 1 << 26  # 256 MB of float32: the most that kept first-layer inputs may take


class Decoder:
    """N streams that each read one token a step: weights in, logits out, state carried.

    `weights` by the names of model/language_model.py, all float32 (or all float64, for tests
    against exact references); they are used as they are and must not change afterwards. `bias`:
    the recurrent layers have biases; `zoneout`, `ngram_order`: as of
    `model.language_model.Architecture`.
    One stream and several give the same logits only up to rounding, as the products differ.
    RunError: a tensor that is missing, not known, of a wrong shape or type, or not finite.
    """

    together = 1

    def __init__(
        self,
        cell: Cell,
        weights: Weights,
        bias: bool = True,
        zoneout: float = 0.0,
        ngram_order: int = 1,
    ) -> None:
        self._cell, self._zoneout, self._ngram_order = cell, zoneout, ngram_order
        self._ops = NumpyOperations()
        self.hidden_sizes = hidden_sizes(cell, weights, bias)
        layers = range(len(self.hidden_sizes))
        prepare, dtype = self._ops.prepare, weights["embedding.weight"].dtype
        self._embedding = weights["embedding.weight"]  # (V, E)
        self._weights_ih = [prepare(weights[f"layers.{n}.weight_ih"]) for n in layers]
        self._weights_hh = [
            prepare(weights.get(f"layers.{n}.weight_hh", np.zeros((0, hidden), dtype)))
            for n, hidden in enumerate(self.hidden_sizes)
        ]
        self._biases_ih, self._biases_hh = (
            [
                weights.get(f"layers.{n}.{name}", np.zeros(cell.gates * hidden, dtype))
                for n, hidden in enumerate(self.hidden_sizes)
            ]
            for name in ("bias_ih", "bias_hh")
        )
        if ngram_order > 1:
            self._ngrams = weights["ngrams.weight"]  # (R, E)
            self._codes = weights["ngrams.codes"].astype(np.int64)  # (V,)
        self._output = output_of(weights)
        kept = max(1, FOLDED_FLOATS // self._biases_ih[0].size)
        self._first_input = lru_cache(maxsize=kept)(self._fold)

    def empty_state(self, streams: int) -> DecoderState:
        """Zeros; what comes before any text."""
        dtype = self._embedding.dtype
        layers = tuple(
            tuple(np.zeros((streams, hidden), dtype) for _ in self._cell.state_names)
            for hidden in self.hidden_sizes
        )
        if self._ngram_order == 1:
            return layers
        return (*layers, (np.zeros((streams, self._ngram_order - 1), dtype),))

    def advance(self, ids: Iterable[int], state: DecoderState) -> DecoderState:
        """The state after each of N streams has read its token of `ids` (N,)."""
        tokens = [int(token) for token in ids]
        gates_x = np.stack([self._first_input(token) for token in tokens])  # (N, G*H)
        layers = len(self.hidden_sizes)
        history = tuple(self._read(tokens, part, gates_x) for part in state[layers:])
        after: list[State] = []
        for layer, before in enumerate(state[:layers]):
            if layer > 0:
                gates_x = self._ops.linear(after[-1][0], self._weights_ih[layer])
                gates_x += self._biases_ih[layer]
            new = self._cell.step(
                self._ops, gates_x, before, self._weights_hh[layer], self._biases_hh[layer]
            )
            if self._zoneout:
                stays = self._embedding.dtype.type(self._zoneout)
                new = tuple(
                    stays * old + (1 - stays) * made for old, made in zip(before, new, strict=True)
                )
            after.append(new)
        return (*after, *history)

    def outputs(self, state: DecoderState) -> npt.NDArray[np.floating[Any]]:
        """What the last layer put out: (N, H)."""
        y: npt.NDArray[np.floating[Any]] = state[len(self.hidden_sizes) - 1][0]
        return y

    def logits(self, state: DecoderState) -> npt.NDArray[np.floating[Any]]:
        """What `state` expects next: (N, V)."""
        return self._output.logits(self.outputs(state))

    def feed(
        self, ids: Iterable[int], state: DecoderState
    ) -> tuple[npt.NDArray[np.floating[Any]], DecoderState]:
        """`advance`, and the logits (N, V) after it."""
        state = self.advance(ids, state)
        return self.logits(state), state

    def _read(self, tokens: list[int], before: State, gates_x: Any) -> State:
        """Add what the first layer makes of the n-grams to gates_x (N, G*H); the tokens before
        (N, n-1), newest first, after these."""
        (history,), newest = before, self._codes[tokens]
        places = ngram_rows([newest, *history.T.astype(np.int64)], len(self._ngrams))
        for row, here in zip(gates_x, np.stack(places, axis=1), strict=True):  # (G*H,), (n-1,)
            row += self._ops.linear(self._ngrams[here].sum(axis=0), self._weights_ih[0])
        return (np.concatenate([newest[:, None], history[:, :-1]], axis=1).astype(history.dtype),)

    def _fold(self, token: int) -> npt.NDArray[np.floating[Any]]:
        """W_ih e + b_ih of the first layer for one token (G*H,): always one product of one
        row, so that what a stream reads does not depend on the streams beside it."""
        row: npt.NDArray[np.floating[Any]] = self._ops.linear(
            self._embedding[token], self._weights_ih[0]
        )
        row += self._biases_ih[0]
        return row


def decoder_of(config: Config, weights: Weights) -> Decoder:
    """The decoder of a run's resolved configuration and its weights.

    RunError where the weights are not those of such a network.
    """
    cell = checked_cell(config, weights)
    return Decoder(cell, weights, config.model.bias, config.zoneout, config.ngram_order)
