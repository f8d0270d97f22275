"""A stored model's arrays as the compiled steps read them (`layout`), its weights cut to bf16."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.native import layout as m
from charlm.generation.native.output_packing import output_layer
from charlm.generation.native.tiles import tiled
from charlm.model.cells.base import Cell

CODES = {"lstm": m.LSTM, "gru": m.GRU, "gru-cho": m.GRU_CHO}
RNN_CODES = {"sigmoid": m.RNN_SIGMOID, "tanh": m.RNN_TANH, "relu": m.RNN_RELU}

FOLDED_FLOATS = 1 << 22  # 16 MB: the most that the first layer's input products may take

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Packed:
    """A model in four arrays; `scratch_step`, `state_step`: floats a stream needs of each."""

    numbers: npt.NDArray[np.int64]
    weights: npt.NDArray[np.uint32]
    floats: Floats
    table: Floats
    state_step: int
    scratch_step: int


def code_of(cell: Cell) -> int | None:
    """The number of a cell among those that have compiled steps; None where it has none."""
    if cell.name == "rnn":
        return RNN_CODES.get(getattr(cell, "nonlinearity", ""))
    return CODES.get(cell.name)


class _Joined:
    """Arrays laid end to end, each at a place that is a multiple of a vector's width."""

    def __init__(self, dtype: type) -> None:
        self._arrays: list[npt.NDArray[Any]] = []
        self._dtype, self._size = dtype, 0

    def add(self, array: npt.NDArray[Any]) -> int:
        """Where it begins."""
        begin = self._size
        flat: npt.NDArray[Any] = np.zeros(m.padded(array.size, m.WIDTH), self._dtype)
        flat[: array.size] = array.ravel()
        self._arrays.append(flat)
        self._size += flat.size
        return begin

    def whole(self) -> npt.NDArray[Any]:
        joined = aligned(self._size, self._dtype)
        np.concatenate([joined[:0], *self._arrays], out=joined)
        return joined


def aligned(size: int, dtype: type) -> npt.NDArray[Any]:
    """Zeros that begin at a multiple of 64 bytes, where a vector may lie."""
    bytes_ = size * np.dtype(dtype).itemsize
    raw = np.zeros(bytes_ + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + bytes_].view(dtype)


def pack(
    cell: Cell, weights: Mapping[str, npt.NDArray[Any]], sizes: Sequence[int], ngram_order: int
) -> Packed:
    """`weights` by the names of model/language_model.py, checked; `sizes`: H of each layer."""
    code = code_of(cell)
    assert code is not None
    words, floats = _Joined(np.uint32), _Joined(np.float32)
    layers = np.zeros((len(sizes), m.LAYER), np.int64)
    embedding = weights["embedding.weight"]
    vocabulary, below = embedding.shape
    state = widest = 0

    def bias(values: npt.NDArray[Any], tiles: int) -> int:
        row = np.zeros(tiles * m.LANES, np.float32)
        row[: len(values)] = values
        return floats.add(row)

    first_tiles = m.padded(cell.gates * sizes[0], m.LANES) // m.LANES
    folded = vocabulary * first_tiles * m.LANES <= FOLDED_FLOATS
    for number, (row, hidden) in enumerate(zip(layers, sizes, strict=True)):
        name = f"layers.{number}"
        gates = cell.gates * hidden
        weight_hh = weights[f"{name}.weight_hh"]
        bias_ih, bias_hh = (
            weights.get(f"{name}.{which}", np.zeros(gates, np.float32))
            for which in ("bias_ih", "bias_hh")
        )
        row[m.HIDDEN], row[m.STATE_AT] = hidden, state
        row[m.PART], row[m.PARTS] = m.padded(hidden, m.WIDTH), len(cell.state_names)
        row[m.GATE_TILES] = m.padded(gates, m.LANES) // m.LANES
        row[m.INPUT_BIAS] = bias(bias_ih, int(row[m.GATE_TILES]))
        reads = m.padded(below, m.WIDTH)
        row[m.INPUT], row[m.INPUT_PAIRS] = -1, reads // 2
        if number > 0 or not folded or ngram_order > 1:
            row[m.INPUT] = words.add(tiled(weights[f"{name}.weight_ih"], reads))
        part = int(row[m.PART])
        # gru-cho multiplies the candidates' rows with r * h, when r is known.
        cut = 2 * hidden if code == m.GRU_CHO else gates
        row[m.RECURRENT] = words.add(tiled(weight_hh[:cut], part))
        row[m.RECURRENT_TILES] = m.padded(cut, m.LANES) // m.LANES
        row[m.RECURRENT_BIAS] = bias(bias_hh[:cut], int(row[m.RECURRENT_TILES]))
        if code == m.GRU_CHO:
            row[m.CANDIDATE] = words.add(tiled(weight_hh[cut:], part))
            row[m.CANDIDATE_TILES] = m.padded(hidden, m.LANES) // m.LANES
            row[m.CANDIDATE_BIAS] = bias(bias_hh[cut:], int(row[m.CANDIDATE_TILES]))
        state += part * len(cell.state_names)
        widest = max(widest, m.padded(gates, m.LANES))
        below = hidden

    header = np.zeros(m.HEADER, np.int64)
    header[m.LAYERS], header[m.CELL], header[m.VOCABULARY] = len(sizes), code, vocabulary
    header[m.FOLDED], header[m.NGRAM_ORDER] = folded, ngram_order
    vector = 0
    if ngram_order > 1:
        vector = m.padded(embedding.shape[1], m.WIDTH)
        vectors = weights["ngrams.weight"]
        header[m.NGRAM_ROWS], header[m.NGRAM_STEP] = len(vectors), vector
        header[m.NGRAM_TABLE] = floats.add(_rows(vectors, vector))
        header[m.NGRAM_CODES] = floats.add(weights["ngrams.codes"])
        header[m.HISTORY_AT] = state
        state += m.padded(ngram_order - 1, m.WIDTH)
    header[m.STATE_STEP] = state
    projection = weights.get("projection.weight")
    header[m.PROJECTION] = -1
    part = int(layers[-1, m.PART])
    projected = 0
    if projection is not None:
        header[m.PROJECTION] = words.add(tiled(projection, part))
        header[m.PROJECTION_PAIRS] = part // 2
        projected = m.padded(len(projection), m.LANES)
        header[m.PROJECTION_TILES] = projected // m.LANES
        header[m.PROJECTION_BIAS] = bias(np.zeros(0), projected // m.LANES)
        part = m.padded(len(projection), m.WIDTH)
    output = output_layer(weights, part, words.add, floats.add, bias)
    for where, value in output.header.items():
        header[where] = value

    hidden = int(layers[:, m.PART].max())
    scratch = 0
    for where, width in (
        (m.X_AT, widest),
        (m.Z_AT, widest),
        (m.SEEN_AT, hidden),
        (m.N_AT, m.padded(hidden, m.LANES)),
        (m.OLD_AT, hidden * len(cell.state_names)),
        (m.PROJECTED_AT, projected),
        (m.LOGITS_AT, output.logits),
        (m.MASS_AT, output.logits),
        (m.REDUCED_AT, output.reduced),
        (m.VECTOR_AT, vector),
        (m.OUTPUT_AT, output.made),
    ):
        header[where] = scratch
        scratch += width
    if not output.made:
        header[m.OUTPUT_AT] = header[m.LOGITS_AT]
    header[m.SCRATCH_STEP] = scratch
    if folded:
        made = embedding @ weights["layers.0.weight_ih"].T
        made += weights.get("layers.0.bias_ih", np.float32(0))
        table = _rows(made, first_tiles * m.LANES)
    else:
        table = _rows(embedding, m.padded(embedding.shape[1], m.WIDTH))
    header[m.TABLE_STEP] = table.shape[1]
    numbers = np.concatenate([header, layers.ravel(), output.clusters.ravel()])
    return Packed(numbers, words.whole(), floats.whole(), table, state, scratch)


def _rows(values: npt.NDArray[Any], width: int) -> Floats:
    """Each row with zeros up to `width`."""
    rows = np.zeros((len(values), width), np.float32)
    rows[:, : values.shape[1]] = values
    return rows
