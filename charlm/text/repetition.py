"""How much of a text stands in it only once."""

import numpy as np

_KEPT = 2**21  # n-grams that are compared; of a longer text a share of them
_PIECE = 2**20
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def seen_once(ids: np.ndarray, length: int) -> float:
    """The share of n-grams of `length` tokens that occur a single time in `ids` (N,).

    1 for a text that has none. Of a long text, n-grams are drawn by their hash, so that of each
    all occurrences are counted or none.
    """
    places = len(ids) - length + 1
    if places < 1:
        return 1.0
    every = np.uint64(-(-places // _KEPT))
    kept = []
    for begin in range(0, places, _PIECE):
        hashes = _hashes(ids[begin : begin + _PIECE + length - 1], length)
        kept.append(hashes[hashes % every == 0])
    counts = np.unique(np.concatenate(kept), return_counts=True)[1]
    return float((counts == 1).sum() / max(1, counts.sum()))


def _hashes(ids: np.ndarray, length: int) -> np.ndarray:
    """Of each n-gram, in 64 bits: a polynomial in its tokens, its bits mixed afterwards."""
    tokens = ids.astype(np.uint64)
    places = len(ids) - length + 1
    found = np.zeros(places, np.uint64)
    for place in range(length):
        found = found * _FACTOR + tokens[place : place + places] + np.uint64(1)
    found ^= found >> np.uint64(29)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    return found ^ (found >> np.uint64(32))
