"""A stored model, one token at a time, without torch.

    e = E[id]                              embedding (V, E)
    h_l, ... = cell(W_ih e + b_ih, state)  for each layer l; e of the next layer is h_l
    logits = W (P h_L) + b                 W is E itself and P there only where weights are tied

A sequence kernel that is called for one step lays its weights out anew each time; here they
are laid out once, and the first layer's input product, which depends on the token alone,
is kept from one use of a token to the next.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.errors import RunError
from charlm.generation.numpy_ops import NumpyOperations
from charlm.model.cells.base import Cell, State

Weights = Mapping[str, npt.NDArray[np.floating[Any]]]
DecoderState = tuple[State, ...]  # one cell state a layer

FOLDED_FLOATS = 1 << 26  # 256 MB of float32: the most that kept first-layer inputs may take


class Decoder:
    """N streams that each read one token a step: weights in, logits out, state carried.

    `weights` by the names of model/language_model.py, all float32 (or all float64, for tests
    against exact references); they are used as they are and must not change afterwards.
    One stream and several give the same logits only up to rounding, as the products differ.
    RunError: a tensor that is missing, not known, of a wrong shape or type, or not finite.
    """

    def __init__(self, cell: Cell, weights: Weights) -> None:
        self._cell = cell
        self._ops = NumpyOperations()
        self._layers, self._hidden_size = _check(cell, weights)
        prepare = self._ops.prepare
        self._embedding = weights["embedding.weight"]  # (V, E)
        self._weights_ih = [prepare(weights[f"layers.{n}.weight_ih"]) for n in range(self._layers)]
        self._weights_hh = [prepare(weights[f"layers.{n}.weight_hh"]) for n in range(self._layers)]
        self._biases_ih = [weights[f"layers.{n}.bias_ih"] for n in range(self._layers)]
        self._biases_hh = [weights[f"layers.{n}.bias_hh"] for n in range(self._layers)]
        projection = weights.get("projection.weight")
        self._projection = None if projection is None else prepare(projection)
        self._output = prepare(weights.get("decoder.weight", self._embedding))
        self._output_bias = weights["decoder.bias"]
        kept = max(1, FOLDED_FLOATS // self._biases_ih[0].size)
        self._first_input = lru_cache(maxsize=kept)(self._fold)

    def empty_state(self, streams: int) -> DecoderState:
        """Zeros; what comes before any text."""
        shape, dtype = (streams, self._hidden_size), self._embedding.dtype
        zeros = tuple(np.zeros(shape, dtype) for _ in self._cell.state_names)
        return (zeros,) * self._layers

    def advance(self, ids: Iterable[int], state: DecoderState) -> DecoderState:
        """The state after each of N streams has read its token of `ids` (N,)."""
        gates_x = np.stack([self._first_input(int(token)) for token in ids])  # (N, G*H)
        after: list[State] = []
        for layer, before in enumerate(state):
            if layer > 0:
                gates_x = self._ops.linear(after[-1][0], self._weights_ih[layer])
                gates_x += self._biases_ih[layer]
            after.append(
                self._cell.step(
                    self._ops, gates_x, before, self._weights_hh[layer], self._biases_hh[layer]
                )
            )
        return tuple(after)

    def logits(self, state: DecoderState) -> npt.NDArray[np.floating[Any]]:
        """What `state` expects next: (N, V)."""
        y = state[-1][0]  # (N, H)
        if self._projection is not None:
            y = self._ops.linear(y, self._projection)
        logits: npt.NDArray[np.floating[Any]] = self._ops.linear(y, self._output)
        logits += self._output_bias
        return logits

    def feed(
        self, ids: Iterable[int], state: DecoderState
    ) -> tuple[npt.NDArray[np.floating[Any]], DecoderState]:
        """`advance`, and the logits (N, V) after it."""
        state = self.advance(ids, state)
        return self.logits(state), state

    def _fold(self, token: int) -> npt.NDArray[np.floating[Any]]:
        """W_ih e + b_ih of the first layer for one token (G*H,): always one product of one
        row, so that what a stream reads does not depend on the streams beside it."""
        row: npt.NDArray[np.floating[Any]] = self._ops.linear(
            self._embedding[token], self._weights_ih[0]
        )
        row += self._biases_ih[0]
        return row


def _check(cell: Cell, weights: Weights) -> tuple[int, int]:
    """Layers and hidden size of complete, well-shaped, finite weights; RunError otherwise."""
    layers = 0
    while f"layers.{layers}.weight_hh" in weights:
        layers += 1
    for name in ("embedding.weight", "layers.0.weight_hh"):
        if name not in weights or weights[name].ndim != 2:
            raise _damaged(f"The model has no matrix {name}")
    (vocabulary, embedding), hidden = (
        weights["embedding.weight"].shape,
        weights["layers.0.weight_hh"].shape[1],
    )
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (vocabulary, embedding)}
    for layer in range(layers):
        shapes |= {
            f"layers.{layer}.weight_ih": (cell.gates * hidden, hidden if layer else embedding),
            f"layers.{layer}.weight_hh": (cell.gates * hidden, hidden),
            f"layers.{layer}.bias_ih": (cell.gates * hidden,),
            f"layers.{layer}.bias_hh": (cell.gates * hidden,),
        }
    if "decoder.weight" in weights:
        shapes["decoder.weight"] = (vocabulary, hidden)
    elif embedding != hidden:
        shapes["projection.weight"] = (embedding, hidden)
    shapes["decoder.bias"] = (vocabulary,)

    dtype = weights["embedding.weight"].dtype
    if dtype not in (np.float32, np.float64):
        raise _damaged(f"embedding.weight is {dtype}; needed: float32")
    if unknown := sorted(set(weights) - set(shapes)):
        raise _damaged(f"The model has a tensor {unknown[0]}, which a {cell.name} does not have")
    for name, shape in shapes.items():
        if name not in weights:
            raise _damaged(f"The model has no tensor {name}; needed: shape {shape}")
        tensor = weights[name]
        if tensor.shape != shape:
            raise _damaged(f"{name} has the shape {tensor.shape}; needed: {shape}")
        if tensor.dtype != dtype:
            raise _damaged(f"{name} is {tensor.dtype}; needed: {dtype}, as the others are")
        if not np.isfinite(tensor).all():
            raise _damaged(f"{name} holds numbers that are not finite")
    return layers, hidden


def _damaged(what: str) -> RunError:
    return RunError(what, "Restore the run from a copy, or train again.")
