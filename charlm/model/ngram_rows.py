"""Which rows of a table stand for the last few tokens, over NumPy arrays and tensors alike."""

from collections.abc import Sequence
from typing import Any

CODES = "ngrams.codes"  # in the name of a tensor: numbers of tokens, which nobody learns
BASE = 1_000_003  # of the polynomial: odd, and larger than most vocabularies
GOLDEN = -7046029254386353131  # 2^64 / golden ratio, as a signed number (Knuth, vol. 3, sec. 6.4)


def ngram_rows(codes: Sequence[Any], rows: int) -> list[Any]:
    """The row of each n-gram, n = 2 ... N, in a table of `rows` (a power of two).

    codes: int64 arrays of one shape, of the newest token first, then of the one before, ...:
    N of them; a code is from 1, and 0 where there is no token. With g_1 = c_0 and
    g_n = g_(n-1) base + c_(n-1), all modulo 2^64, the row is taken from the middle of
    (g_n + n) golden.
    """
    found, polynomial = [], codes[0]
    for n, code in enumerate(codes[1:], start=2):
        polynomial = polynomial * BASE + code
        found.append(((polynomial + n) * GOLDEN >> 32) & (rows - 1))
    return found
