"""How far a spelling is from a word: in edits, and as a cost in nats.

Damerau-Levenshtein distance in its usual form (optimal string alignment): inserted, lost and
wrong letters, and neighbours that changed places, none of them edited twice.

    d[i, j] = min( d[i-1, j] + 1,  d[i, j-1] + 1,  d[i-1, j-1] + [a_i != b_j],
                   d[i-2, j-2] + 1  where a_{i-1} a_i = b_j b_{j-1} )

The cost has the same form with a price for each edit. The prices are those of an error model
-log p(spelling | word), chosen on one half of two lists of misspellings (scripts/spelling.py):
people double letters and leave one of two out, take one vowel for another, swap neighbours, and
hardly ever miss the first letter.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]

_EDIT = 6.0
_DOUBLED = 3.0  # a letter beside its like, too many or too few
_VOWEL = 4.0  # one for another
_SWAPPED = 4.5
_FIRST = 2.0  # more, for the first letter
_APOSTROPHE = 2.5
SPLIT = 6.0  # a space lost
JOIN = 6.0  # a space too many
_VOWELS = frozenset("aeiouy")


def distances(word: Codes, others: Codes, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The distance (K,) of word (N,) from each of others (K, M), padded, of `lengths` (K,)."""
    K, M = others.shape
    rows = [np.broadcast_to(np.arange(M + 1), (K, M + 1))]
    for i in range(1, len(word) + 1):
        row = np.empty((K, M + 1), np.int64)
        row[:, 0] = i
        same = others == word[i - 1]
        for j in range(1, M + 1):
            best = np.minimum(rows[-1][:, j] + 1, row[:, j - 1] + 1)
            best = np.minimum(best, rows[-1][:, j - 1] + ~same[:, j - 1])
            if i > 1 and j > 1:
                swapped = same[:, j - 2] & (others[:, j - 1] == word[i - 2])
                best = np.where(swapped, np.minimum(best, rows[-2][:, j - 2] + 1), best)
            row[:, j] = best
        rows = [rows[-1], row]
    return np.asarray(rows[-1][np.arange(K), lengths])


def cost(spelling: str, word: str) -> float:
    """-log p(spelling | word) in nats, but for a constant; 0 for the word itself."""
    n, m = len(spelling), len(word)
    table = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        for j in range(m + 1):
            if i == j == 0:
                continue
            ways = []
            if i:
                ways.append(table[i - 1][j] + _indel(spelling, i - 1, j))
            if j:
                ways.append(table[i][j - 1] + _indel(word, j - 1, i))
            if i and j:
                ways.append(table[i - 1][j - 1] + _wrong(spelling[i - 1], word[j - 1], i + j == 2))
            if i > 1 and j > 1 and spelling[i - 2 : i] == word[j - 1] + word[j - 2]:
                ways.append(table[i - 2][j - 2] + _SWAPPED)
            table[i][j] = min(ways)
    return table[n][m]


def _indel(text: Sequence[str], place: int, others: int) -> float:
    """Of a letter at `place` that the other one, of which `others` letters are used, has not."""
    letter = text[place]
    if letter in "'’":
        return _APOSTROPHE
    if letter in text[max(0, place - 1) : place] or letter in text[place + 1 : place + 2]:
        return _DOUBLED
    return _EDIT + (_FIRST if place == 0 and others == 0 else 0.0)


def _wrong(a: str, b: str, first: bool) -> float:
    if a == b:
        return 0.0
    price = _VOWEL if a in _VOWELS and b in _VOWELS else _EDIT
    return price + (_FIRST if first else 0.0)
