"""A stored model's steps, compiled: read tokens, say what is expected, draw, and read that.

What `generation.decoder` says in NumPy, with the weights cut to bf16, for N streams side by side,
each with the same bits as alone. `layout` names the numbers.
"""

from typing import Any

import numpy as np
from numba import njit, types

from charlm.generation.native import layout as m
from charlm.generation.native.cuts import cut, power
from charlm.generation.native.layout import LANES
from charlm.generation.native.output import expect
from charlm.generation.native.pointwise import (
    copy,
    exponential,
    fill,
    gru,
    gru_cho,
    gru_cho_reset,
    lstm,
    rnn,
)
from charlm.generation.native.products import at, compiled, product
from charlm.model.ngram_rows import BASE, GOLDEN


@compiled
def _zone(state: Any, old: Any, count: Any, zoneout: Any) -> None:
    """p old + (1 - p) new."""
    for u in range(count):
        state[u] = zoneout * old[u] + (np.float32(1) - zoneout) * state[u]


@compiled
def _input(
    streams: Any,
    header: Any,
    row: Any,
    below: Any,
    weights: Any,
    floats: Any,
    table: Any,
    state: Any,
    x: Any,
    ids: Any,
) -> None:
    """x = W_ih of the token, or of the layer below, + b_ih."""
    step, size, tiles = header[m.SCRATCH_STEP], header[m.TABLE_STEP], row[m.GATE_TILES]
    if below < 0 and header[m.FOLDED]:
        for stream in range(streams):
            copy(at(x, stream * step), at(table, ids[stream] * size), size)
        return
    fill(streams, x, step, at(floats, row[m.INPUT_BIAS]), tiles * LANES)
    w, pairs = at(weights, row[m.INPUT]), row[m.INPUT_PAIRS]
    if below >= 0:
        product(streams, at(state, below), header[m.STATE_STEP], w, pairs, x, step, tiles)
    else:
        one = np.int64(1)
        for stream in range(streams):
            vector = at(table, ids[stream] * size)
            product(one, vector, 0, w, pairs, at(x, stream * step), step, tiles)


@compiled
def _ngrams(
    streams: Any,
    header: Any,
    row: Any,
    weights: Any,
    floats: Any,
    state: Any,
    scratch: Any,
    x: Any,
    ids: Any,
) -> None:
    """x += W_ih of the n-grams' vectors (`model.ngram_rows`); the tokens before move on."""
    step, size = header[m.SCRATCH_STEP], header[m.NGRAM_STEP]
    for stream in range(streams):
        history = at(state, stream * header[m.STATE_STEP] + header[m.HISTORY_AT])
        vector = at(scratch, stream * step + header[m.VECTOR_AT])
        for u in range(size):
            vector[u] = np.float32(0)
        newest = floats[header[m.NGRAM_CODES] + ids[stream]]
        polynomial = np.int64(newest)
        for n in range(2, header[m.NGRAM_ORDER] + 1):
            polynomial = polynomial * BASE + np.int64(history[n - 2])
            place = ((polynomial + n) * GOLDEN >> 32) & (header[m.NGRAM_ROWS] - 1)
            found = at(floats, header[m.NGRAM_TABLE] + place * size)
            for u in range(size):
                vector[u] += found[u]
        for n in range(header[m.NGRAM_ORDER] - 2, 0, -1):
            history[n] = history[n - 1]
        history[0] = newest
    vectors = at(scratch, header[m.VECTOR_AT])
    w, pairs = at(weights, row[m.INPUT]), row[m.INPUT_PAIRS]
    product(streams, vectors, step, w, pairs, x, step, row[m.GATE_TILES])


@compiled
def _advance(
    streams: Any,
    header: Any,
    weights: Any,
    floats: Any,
    table: Any,
    state: Any,
    scratch: Any,
    zoneout: Any,
    ids: Any,
) -> None:
    """Every stream reads its token."""
    step, wide, cell = header[m.SCRATCH_STEP], header[m.STATE_STEP], header[m.CELL]
    x, z = at(scratch, header[m.X_AT]), at(scratch, header[m.Z_AT])
    seen, n = at(scratch, header[m.SEEN_AT]), at(scratch, header[m.N_AT])
    old = at(scratch, header[m.OLD_AT])
    below = np.int64(-1)
    for layer in range(header[m.LAYERS]):
        row = at(header, m.HEADER + layer * m.LAYER)
        hidden, part, tiles = row[m.HIDDEN], row[m.PART], row[m.RECURRENT_TILES]
        h, pairs = at(state, row[m.STATE_AT]), part // 2
        _input(streams, header, row, below, weights, floats, table, state, x, ids)
        if layer == 0 and header[m.NGRAM_ORDER] > 1:
            _ngrams(streams, header, row, weights, floats, state, scratch, x, ids)
        fill(streams, z, step, at(floats, row[m.RECURRENT_BIAS]), tiles * LANES)
        product(streams, h, wide, at(weights, row[m.RECURRENT]), pairs, z, step, tiles)
        if zoneout > 0:
            for stream in range(streams):
                copy(at(old, stream * step), at(h, stream * wide), row[m.PARTS] * part)
        if cell == m.GRU_CHO:
            for stream in range(streams):
                here = stream * step
                before = at(h, stream * wide)
                gru_cho_reset(at(x, here), at(z, here), before, at(seen, here), hidden)
            candidates = row[m.CANDIDATE_TILES]
            fill(streams, n, step, at(floats, row[m.CANDIDATE_BIAS]), candidates * LANES)
            w = at(weights, row[m.CANDIDATE])
            product(streams, seen, step, w, pairs, n, step, candidates)
        for stream in range(streams):
            here = stream * step
            own_x, own_z, own_h = at(x, here), at(z, here), at(h, stream * wide)
            if cell == m.LSTM:
                lstm(own_x, own_z, own_h, at(own_h, part), hidden)
            elif cell == m.GRU:
                gru(own_x, own_z, own_h, hidden)
            elif cell == m.GRU_CHO:
                gru_cho(own_x, own_z, at(n, here), own_h, hidden)
            else:
                rnn(own_x, own_z, own_h, hidden, cell)
            if zoneout > 0:
                _zone(own_h, at(old, here), row[m.PARTS] * part, zoneout)
        below = row[m.STATE_AT]


@compiled
def _exponentials(logits: Any, most: Any, legal: Any, mass: Any, size: Any, heat: Any) -> Any:
    """mass = e^((z - max z) / T) of the legal tokens, 0 of the others; their sum."""
    for v in range(size):
        powers = exponential(np.float32(power(logits[v], most, heat)))
        mass[v] = powers if legal[v] else np.float32(0)
    total = 0.0
    for v in range(size):
        total += mass[v]
    return total


@compiled
def _draw(
    logits: Any, legal: Any, mass: Any, size: Any, choice: Any, uniform: Any, cost: Any
) -> Any:
    """A token, as `sampling.choose` of what the filters leave; cost = e^-nats' logarithm in two
    parts: sum, max - z, of all."""
    best = np.int64(-1)
    for v in range(size):
        if legal[v] and (best < 0 or logits[v] > logits[best]):
            best = v
    most = np.float64(logits[best])
    total = _exponentials(logits, most, legal, mass, size, 1.0)
    cost[0] = total
    token, heat = best, choice[m.TEMPERATURE]
    if heat > 0:
        if heat != 1:
            total = _exponentials(logits, most, legal, mass, size, heat)
        total = cut(logits, most, mass, size, choice, total)
        sought, passed = uniform * total, 0.0
        for v in range(size):
            if mass[v] > 0:
                token = v
            passed += mass[v]
            if passed > sought:
                break
    cost[1] = most - logits[token]
    return token


_WORDS, _FLOATS = types.CPointer(types.int32), types.CPointer(types.float32)
_BYTES, _NUMBERS = types.CPointer(types.uint8), types.CPointer(types.int64)
_DOUBLES = types.CPointer(types.float64)
READ, EXPECT, WRITE = 0, 1, 2


SIGNATURE = types.void(
    types.int64, types.int64, types.int64, _NUMBERS, _WORDS, _FLOATS, _FLOATS, _FLOATS,
    _FLOATS, _WORDS, _BYTES, _BYTES, _BYTES, _DOUBLES, _DOUBLES, _DOUBLES, types.float64,
)  # fmt: skip


@njit(SIGNATURE, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def run(
    what: Any,
    streams: Any,
    steps: Any,
    header: Any,
    weights: Any,
    floats: Any,
    table: Any,
    state: Any,
    scratch: Any,
    ids: Any,
    following: Any,
    drawable: Any,
    spelling: Any,
    uniforms: Any,
    costs: Any,
    choice: Any,
    zoneout: Any,
) -> None:
    """READ `ids` (steps, streams); or EXPECT: the logits into scratch; or WRITE: draw `ids` by
    `uniforms` (steps, streams) and by `choice`, with `costs` (steps, streams, 2).

    The grammar: `following`, `drawable` (S, V) and each stream's state in it, `spelling`.
    """  # fmt: skip
    stays = np.float32(zoneout)
    if what == EXPECT:
        expect(streams, header, weights, floats, state, scratch)
        return
    size, step = header[m.VOCABULARY], header[m.SCRATCH_STEP]
    for time in range(steps):
        row = at(ids, time * streams)
        if what == WRITE:
            expect(streams, header, weights, floats, state, scratch)
            for stream in range(streams):
                logits = at(scratch, stream * step + header[m.LOGITS_AT])
                mass = at(scratch, stream * step + header[m.MASS_AT])
                rule = np.int64(spelling[stream]) * size
                here = time * streams + stream
                cost, uniform = at(costs, 2 * here), uniforms[here]
                token = _draw(logits, at(drawable, rule), mass, size, choice, uniform, cost)
                row[stream] = np.int32(token)
                spelling[stream] = following[rule + token]
        _advance(streams, header, weights, floats, table, state, scratch, stays, row)
