"""The layer onto the vocabulary as the compiled steps read it (`output`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.native import layout as m
from charlm.generation.native.tiles import tiled
from charlm.model.cluster_ranks import RANKS, cutoffs_of

Array = npt.NDArray[Any]
Add = Callable[[Array], int]  # where it lies among the others
Bias = Callable[[Array, int], int]  # the same, with zeros up to so many tiles


@dataclass(frozen=True)
class OutputLayer:
    """Numbers of the header, a row a cluster, and the floats of scratch for the logits, for what
    the products make before (0: the logits themselves), and for what a cluster reads."""

    header: dict[int, int]
    clusters: npt.NDArray[np.int64]
    logits: int
    made: int = 0
    reduced: int = 0


def output_layer(
    weights: Mapping[str, Array], reads: int, add: Add, add_floats: Add, add_bias: Bias
) -> OutputLayer:
    """Of complete weights; `reads`: the floats before it, padded."""
    cutoffs = cutoffs_of(weights)
    embedding = weights["embedding.weight"]
    if cutoffs:
        weight, bias = weights["decoder.head.weight"], weights["decoder.head.bias"]
    else:
        weight, bias = weights.get("decoder.weight", embedding), weights["decoder.bias"]
    made = m.padded(len(weight), m.LANES)
    header = {
        m.OUTPUT: add(tiled(weight, reads)),
        m.OUTPUT_PAIRS: reads // 2,
        m.OUTPUT_TILES: made // m.LANES,
        m.OUTPUT_BIAS: add_bias(bias, made // m.LANES),
        m.CLUSTERS: len(cutoffs),
    }
    rows = np.zeros((len(cutoffs), m.CLUSTER), np.int64)
    if not cutoffs:
        return OutputLayer(header, rows, made)
    places = np.arange(len(embedding))  # of each rank
    widest = 0
    for number, row in enumerate(rows):
        reduce, inside = (weights[f"decoder.tail.{number}.{n}.weight"] for n in (0, 1))
        wide, read = m.padded(len(reduce), m.LANES), m.padded(len(reduce), m.WIDTH)
        size = m.padded(len(inside), m.LANES)
        row[m.REDUCE], row[m.REDUCE_TILES] = add(tiled(reduce, reads)), wide // m.LANES
        row[m.INSIDE], row[m.INSIDE_PAIRS] = add(tiled(inside, read)), read // 2
        row[m.INSIDE_TILES], row[m.INSIDE_SIZE] = size // m.LANES, len(inside)
        row[m.INSIDE_AT] = made
        row[m.NO_BIAS] = add_bias(np.zeros(0), max(size, wide) // m.LANES)
        begin = cutoffs[number]
        places[begin : begin + len(inside)] = made + np.arange(len(inside))
        made += size
        widest = max(widest, wide)
    ranks = weights[RANKS].astype(np.int64)
    header |= {m.FREQUENT: cutoffs[0], m.PLACES: add_floats(places[ranks].astype(np.float32))}
    logits = m.padded(len(embedding), m.WIDTH)
    return OutputLayer(header, rows, logits, made, widest)
