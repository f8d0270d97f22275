"""Matrix products over weights cut to bf16, compiled: y[n, j] += sum over k of x[n, k] W[j, k].

Weights lie in tiles of LANES outputs: `w[tile, pair, lane]` is a 32-bit word that holds
W[j, 2 pair] in its low and W[j, 2 pair + 1] in its high half, each the upper 16 bits of a
float32. Each output is summed in float32 over k in rising order, one fused multiplication and
addition a term, by itself in a lane of its own. So a stream's outputs have the same bits
whatever number of streams is computed beside it, and a tile is read once for several streams.

A product of vectors is more than numba's scalars can say: `_tile` writes LLVM's instructions.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from charlm.generation.native.layout import LANES, WIDTH

VECTORS = LANES // WIDTH


# Division by zero gives inf, as in NumPy: nothing here raises, and no loop has to look for it.
compiled = njit(error_model="numpy")

_INDEX, _HALF = ir.IntType(64), ir.IntType(32)
_FLOATS, _WORDS = ir.VectorType(ir.FloatType(), WIDTH), ir.VectorType(_HALF, WIDTH)


def _splat(builder: Any, value: Any, vector: Any) -> Any:
    """A vector that holds a number in each of its lanes."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_HALF, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_WORDS, [0] * WIDTH))


def _tile(streams: int) -> Any:
    """tile(x, x_step, w, y, y_step, pairs) for so many streams: their sums stay in registers.

    Six with four vectors each fill 24 of the 32 registers of AVX-512.
    """

    @intrinsic
    def tile(_typing: Any, x: Any, x_step: Any, w: Any, y: Any, y_step: Any, pairs: Any) -> Any:
        signature = types.void(x, types.int64, w, y, types.int64, types.int64)

        def generate(_context: Any, b: Any, _signature: Any, arguments: Any) -> None:
            x, x_step, w, y, y_step, pairs = arguments
            fma = cgutils.get_or_insert_function(
                b.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), f"llvm.fmuladd.v{WIDTH}f32"
            )

            def place(base: Any, row: Any, step: Any, column: Any) -> Any:
                return b.gep(base, [b.add(b.mul(_INDEX(row), step), column)])

            def sums(stream: int, vector: int) -> Any:
                at = place(y, stream, y_step, _INDEX(vector * WIDTH))
                return b.bitcast(at, _FLOATS.as_pointer())

            grid = [(stream, vector) for stream in range(streams) for vector in range(VECTORS)]
            total = {at: cgutils.alloca_once(b, _FLOATS) for at in grid}
            for at in grid:
                b.store(b.load(sums(*at), align=4), total[at])
            with cgutils.for_range(b, pairs) as loop:
                low, high = [], []
                for vector in range(VECTORS):
                    words = b.gep(
                        w, [b.add(b.mul(loop.index, _INDEX(LANES)), _INDEX(vector * WIDTH))]
                    )
                    both = b.load(b.bitcast(words, _WORDS.as_pointer()), align=64)
                    mask = ir.Constant(_WORDS, [0xFFFF0000] * WIDTH)
                    shift = ir.Constant(_WORDS, [16] * WIDTH)
                    low.append(b.bitcast(b.shl(both, shift), _FLOATS))
                    high.append(b.bitcast(b.and_(both, mask), _FLOATS))
                for stream in range(streams):
                    first = place(x, stream, x_step, b.mul(loop.index, _INDEX(2)))
                    for half, widened in enumerate((low, high)):
                        number = b.load(b.gep(first, [_INDEX(half)]))
                        everywhere = _splat(b, number, _FLOATS)
                        for vector in range(VECTORS):
                            here = total[stream, vector]
                            b.store(b.call(fma, [widened[vector], everywhere, b.load(here)]), here)
            for at in grid:
                b.store(b.load(total[at]), sums(*at), align=4)

        return signature, generate

    return tile


_one, _two, _six = _tile(1), _tile(2), _tile(6)


@intrinsic
def at(_typing: Any, pointer: Any, index: Any) -> Any:
    """The pointer `index` numbers further on."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


@intrinsic
def _load(_typing: Any, pointer: Any, index: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.gep(arguments[0], [arguments[1]]))

    return pointer.dtype(pointer, types.int64), generate


@intrinsic
def _store(_typing: Any, pointer: Any, index: Any, value: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> None:
        builder.store(arguments[2], builder.gep(arguments[0], [arguments[1]]))

    return types.void(pointer, types.int64, pointer.dtype), generate


@overload(operator.getitem)
def _pointer_getitem(pointer: Any, index: Any) -> Any:
    if isinstance(pointer, types.CPointer):
        return lambda pointer, index: _load(pointer, index)
    return None


@overload(operator.setitem)
def _pointer_setitem(pointer: Any, index: Any, value: Any) -> Any:
    if isinstance(pointer, types.CPointer):
        return lambda pointer, index, value: _store(pointer, index, value)
    return None


@compiled
def product(
    streams: Any, x: Any, x_step: Any, w: Any, pairs: Any, y: Any, y_step: Any, tiles: Any
) -> None:
    """y (streams, LANES tiles) += x (streams, 2 pairs) W^T; rows lie `x_step`, `y_step` apart."""
    for tile in range(tiles):
        weights = at(w, tile * pairs * LANES)
        sums = at(y, tile * LANES)
        done = 0
        while done + 6 <= streams:
            _six(at(x, done * x_step), x_step, weights, at(sums, done * y_step), y_step, pairs)
            done += 6
        while done + 2 <= streams:
            _two(at(x, done * x_step), x_step, weights, at(sums, done * y_step), y_step, pairs)
            done += 2
        if done < streams:
            _one(at(x, done * x_step), x_step, weights, at(sums, done * y_step), y_step, pairs)
            done += 1
