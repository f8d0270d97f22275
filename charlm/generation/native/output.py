"""What a stored model expects next, compiled: from its last layer to the logits of all tokens.

The layers onto the vocabulary are `model.softmax` and `model.adaptive_softmax`; `layout` names
the numbers.
"""

from typing import Any

import numpy as np

from charlm.generation.native import layout as m
from charlm.generation.native.layout import LANES
from charlm.generation.native.pointwise import exponential, fill
from charlm.generation.native.products import at, compiled, product


@compiled
def expect(streams: Any, header: Any, weights: Any, floats: Any, state: Any, scratch: Any) -> None:
    """The logits of each stream, in its scratch."""
    last = at(header, m.HEADER + (header[m.LAYERS] - 1) * m.LAYER)
    y, y_step, step = at(state, last[m.STATE_AT]), header[m.STATE_STEP], header[m.SCRATCH_STEP]
    if header[m.PROJECTION] >= 0:
        to, tiles = at(scratch, header[m.PROJECTED_AT]), header[m.PROJECTION_TILES]
        fill(streams, to, step, at(floats, header[m.PROJECTION_BIAS]), tiles * LANES)
        w, pairs = at(weights, header[m.PROJECTION]), header[m.PROJECTION_PAIRS]
        product(streams, y, y_step, w, pairs, to, step, tiles)
        y, y_step = to, step
    made, tiles = at(scratch, header[m.OUTPUT_AT]), header[m.OUTPUT_TILES]
    fill(streams, made, step, at(floats, header[m.OUTPUT_BIAS]), tiles * LANES)
    w, pairs = at(weights, header[m.OUTPUT]), header[m.OUTPUT_PAIRS]
    product(streams, y, y_step, w, pairs, made, step, tiles)
    if header[m.CLUSTERS] > 0:
        _clusters(streams, header, weights, floats, y, y_step, scratch)


@compiled
def _clusters(
    streams: Any, header: Any, weights: Any, floats: Any, y: Any, y_step: Any, scratch: Any
) -> None:
    """What is inside of the clusters, after the head; and all of it in the tokens' own order."""
    step, clusters = header[m.SCRATCH_STEP], header[m.CLUSTERS]
    made, reduced = at(scratch, header[m.OUTPUT_AT]), at(scratch, header[m.REDUCED_AT])
    for number in range(clusters):
        row = at(header, m.HEADER + header[m.LAYERS] * m.LAYER + number * m.CLUSTER)
        tiles = row[m.REDUCE_TILES]
        fill(streams, reduced, step, at(floats, row[m.NO_BIAS]), tiles * LANES)
        w, pairs = at(weights, row[m.REDUCE]), header[m.OUTPUT_PAIRS]
        product(streams, y, y_step, w, pairs, reduced, step, tiles)
        inside, tiles = at(made, row[m.INSIDE_AT]), row[m.INSIDE_TILES]
        fill(streams, inside, step, at(floats, row[m.NO_BIAS]), tiles * LANES)
        w, pairs = at(weights, row[m.INSIDE]), row[m.INSIDE_PAIRS]
        product(streams, reduced, step, w, pairs, inside, step, tiles)
        for stream in range(streams):
            cluster = at(made, stream * step)[header[m.FREQUENT] + number]
            _normalise(at(inside, stream * step), row[m.INSIDE_SIZE], cluster)
    size = header[m.VOCABULARY]
    for stream in range(streams):
        found, logits = at(made, stream * step), at(scratch, stream * step + header[m.LOGITS_AT])
        for v in range(size):
            logits[v] = found[np.int64(floats[header[m.PLACES] + v])]


@compiled
def _normalise(z: Any, size: Any, cluster: Any) -> None:
    """z <- cluster + log softmax(z)."""
    most = z[0]
    for v in range(size):
        most = max(most, z[v])
    total = 0.0
    for v in range(size):
        total += exponential(z[v] - most)
    less = np.float32(np.float64(cluster) - np.float64(most) - np.log(total))
    for v in range(size):
        z[v] += less
