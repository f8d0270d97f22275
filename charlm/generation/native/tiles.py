"""Weights cut to bf16 and laid out in tiles, as the compiled products read them (`products`)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.native import layout as m


def narrowed(weight: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """float32 -> bf16, to the nearest, ties to even: the upper half of its bits."""
    bits = np.ascontiguousarray(weight, np.float32).view(np.uint32)
    # Half a unit of what is kept, less one where the last bit kept is even.
    return ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype(np.uint16)


def tiled(weight: npt.NDArray[Any], reads: int) -> npt.NDArray[np.uint32]:
    """W (J, K) -> (tiles, reads/2, LANES) words of two bf16 each (`products`); the rest zeros."""
    outputs, inputs = weight.shape
    whole = np.zeros((m.padded(outputs, m.LANES), reads), np.uint16)
    whole[:outputs, :inputs] = narrowed(weight)
    words = whole.view("<u4").reshape(-1, m.LANES, reads // 2)
    return np.ascontiguousarray(words.transpose(0, 2, 1))
