"""The cells' equations after their products, compiled, in float32; each in place, a row of H.

`x` (G*H,) holds W_ih x_t + b_ih, `z` (G*H,) W_hh h_{t-1} + b_hh, gates in the cell's own order.
The equations stand in `model.cells`; tests hold these to them. sigmoid and tanh come from one
exponential, whose loop has no branch, so that LLVM computes sixteen at once.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from charlm.generation.native.layout import RNN_SIGMOID, RNN_TANH
from charlm.generation.native.products import at, compiled

_ONE, _TWO = np.float32(1), np.float32(2)
_LOG2_E = np.float32(np.log2(np.e))
# log 2 in two pieces: a whole number below 256 times the first is exact in float32.
_LN2_FIRST = np.float32(0.693359375)
_LN2_REST = np.float32(np.log(2) - 0.693359375)
_LEAST, _MOST = np.float32(-87), np.float32(88)  # e^x beyond is no normal float32
# 1/n! of the series of e^r; |r| <= log(2)/2 leaves r^8/8! = 5e-9.
_C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(1 / n) for n in (2, 6, 24, 120, 720, 5040))


@intrinsic
def _power_of_two(_typing: Any, exponent: Any) -> Any:
    """2^n for a whole number n from -126 to 127: its bits are n + 127, shifted by 23."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole = builder.fptosi(arguments[0], ir.IntType(32))
        bits = builder.shl(builder.add(whole, whole.type(127)), whole.type(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def _nearest(_typing: Any, number: Any) -> Any:
    """The nearest whole number."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        nearest = builder.module.declare_intrinsic("llvm.rint", [ir.FloatType()])
        return builder.call(nearest, arguments)

    return types.float32(types.float32), generate


@compiled
def exponential(x: Any) -> Any:
    """e^x = 2^n e^r, r = x - n log 2: relative error about 1e-7, from e^-87 to e^88."""
    x = min(max(x, _LEAST), _MOST)
    n = _nearest(x * _LOG2_E)
    r = (x - n * _LN2_FIRST) - n * _LN2_REST
    series = _C5 + r * (_C6 + r * _C7)
    series = _ONE + r * (_ONE + r * (_C2 + r * (_C3 + r * (_C4 + r * series))))
    return series * _power_of_two(n)


@compiled
def _sigmoid(z: Any, count: Any) -> None:
    for u in range(count):
        z[u] = _ONE / (_ONE + exponential(-z[u]))


@compiled
def _tanh(z: Any, count: Any) -> None:
    for u in range(count):
        z[u] = _ONE - _TWO / (_ONE + exponential(_TWO * z[u]))


@compiled
def _relu(z: Any, count: Any) -> None:
    for u in range(count):
        z[u] = max(z[u], np.float32(0))


@compiled
def _add(z: Any, x: Any, count: Any) -> None:
    for u in range(count):
        z[u] += x[u]


@compiled
def copy(to: Any, source: Any, count: Any) -> None:
    """The first `count` numbers."""
    for u in range(count):
        to[u] = source[u]


@compiled
def fill(streams: Any, to: Any, step: Any, bias: Any, count: Any) -> None:
    """The same numbers in each stream's row."""
    for stream in range(streams):
        copy(at(to, stream * step), bias, count)


@compiled
def lstm(x: Any, z: Any, h: Any, c: Any, hidden: Any) -> None:
    """z = i, f, g, o before their functions; h and c become the new ones."""
    _add(z, x, 4 * hidden)
    i, f, g, o = z, at(z, hidden), at(z, 2 * hidden), at(z, 3 * hidden)
    _sigmoid(i, 2 * hidden)
    _tanh(g, hidden)
    _sigmoid(o, hidden)
    for u in range(hidden):
        c[u] = f[u] * c[u] + i[u] * g[u]
    copy(g, c, hidden)
    _tanh(g, hidden)
    for u in range(hidden):
        h[u] = o[u] * g[u]


@compiled
def gru(x: Any, z: Any, h: Any, hidden: Any) -> None:
    """z = r, z, n before their functions, n's product without x."""
    _add(z, x, 2 * hidden)
    _sigmoid(z, 2 * hidden)
    r, stays, n = z, at(z, hidden), at(z, 2 * hidden)
    x_n = at(x, 2 * hidden)
    for u in range(hidden):
        n[u] = x_n[u] + r[u] * n[u]
    _tanh(n, hidden)
    for u in range(hidden):
        h[u] = (_ONE - stays[u]) * n[u] + stays[u] * h[u]


@compiled
def gru_cho_reset(x: Any, z: Any, h: Any, seen: Any, hidden: Any) -> None:
    """The gates r and z; `seen` becomes r * h, what the candidates see of the old state."""
    _add(z, x, 2 * hidden)
    _sigmoid(z, 2 * hidden)
    for u in range(hidden):
        seen[u] = z[u] * h[u]


@compiled
def gru_cho(x: Any, z: Any, n: Any, h: Any, hidden: Any) -> None:
    """z = r, z as gates; n the candidates' product with r * h, without x."""
    _add(n, at(x, 2 * hidden), hidden)
    _tanh(n, hidden)
    new = at(z, hidden)
    for u in range(hidden):
        h[u] = (_ONE - new[u]) * h[u] + new[u] * n[u]


@compiled
def rnn(x: Any, z: Any, h: Any, hidden: Any, function: Any) -> None:
    """h = f(x + z); f by its number in `layout`."""
    _add(z, x, hidden)
    if function == RNN_SIGMOID:
        _sigmoid(z, hidden)
    elif function == RNN_TANH:
        _tanh(z, hidden)
    else:
        _relu(z, hidden)
    copy(h, z, hidden)
