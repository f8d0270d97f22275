"""Texts that are the same, or nearly so: groups that must not stand on two sides of a split.

A text is the set of its word 5-grams (shingles; case and punctuation left out; of a text of
fewer than five words, all its words at once). Two texts are near-duplicates where the Jaccard
index of their sets, |A ∩ B| / |A ∪ B|, is at least 0.8: the threshold usual since Broder (1997,
"On the resemblance and containment of documents") and taken by Lee et al. (2022, arXiv
2107.06499) for training data. A lower one takes questions of one form ("what research is being
done for ...") for copies of each other and chains them: the largest group in 47,441 medical
questions has 20 of them at 0.8, and 780 at 0.7. Groups are the connected parts.

The search is exact: texts with J(A, B) >= t share a shingle among the first
|A| - ceil(t |A|) + 1 of each, in any fixed order of all shingles (prefix filter: Bayardo, Ma &
Srikant 2007, "Scaling up all pairs similarity search"; Xiao et al. 2008). Here rare ones come
first, so few pairs are ever compared. Of a shingle that stands so early in more than
MOST_COMPARED texts, only the latest of them are looked at: a bound on the time for
data written from one form, where groups of that size could fall apart.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

SHARE: Final = (4, 5)  # the threshold on the Jaccard index, as a ratio of whole numbers
SHINGLE_WORDS: Final = 5
MOST_COMPARED: Final = 64

# Han, kana and Thai are written without spaces: there a character is a word.
UNSPACED: Final = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD: Final = re.compile(f"[{UNSPACED}]|[^\\W{UNSPACED}]+")

_BUCKETS: Final = 1 << 22  # of the table that tells rare shingles from common ones
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd

Hashes = npt.NDArray[np.uint64]
# Shingle -> the texts that have it in their prefix; most have one, for which a number is enough.
Early = dict[int, int | deque[int]]


def words(text: str) -> list[str]:
    """The words of a text as they are compared; where it has none, the text as one."""
    return _WORD.findall(text.casefold()) or [text.strip()]


def groups_of_near_duplicates(texts: Sequence[str]) -> list[int]:
    """For each text the number of its group: the place of the first text in it."""
    first: dict[bytes, int] = {}  # by the words of a text: their hash, for it may be long
    vocabulary: dict[str, int] = {}
    groups = _Groups(len(texts))
    distinct: list[tuple[int, Hashes]] = []
    for place, text in enumerate(texts):
        known = [vocabulary.setdefault(word, len(vocabulary)) for word in words(text)]
        ids = np.array(known, np.uint64)
        key = hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
        if (same := first.setdefault(key, place)) != place:
            groups.join(same, place)
        else:
            distinct.append((place, _shingles(ids)))
    for one, other in _near(distinct, groups):
        groups.join(one, other)
    return [groups.of(place) for place in range(len(texts))]


def _shingles(ids: Hashes) -> Hashes:
    """The distinct shingles of a text as 64-bit hashes, in ascending order."""
    length = min(SHINGLE_WORDS, len(ids))
    found = np.zeros(len(ids) - length + 1, np.uint64)
    for offset in range(length):
        found = _mixed(found ^ (ids[offset : offset + len(found)] + np.uint64(1)))
    return np.unique(found)


def _mixed(values: Hashes) -> Hashes:
    """A bijection of 64 bits that spreads every bit (one round of splitmix64's finaliser)."""
    values = (values ^ (values >> np.uint64(31))) * _MULTIPLIER
    return values ^ (values >> np.uint64(29))


class _Groups:
    """Union-find over places, the smallest place of a group standing for it."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))

    def of(self, place: int) -> int:
        above = self._above
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.of(one), self.of(other)))
        self._above[high] = low


def _near(texts: list[tuple[int, Hashes]], groups: _Groups) -> Iterator[tuple[int, int]]:
    """Pairs of near-duplicates, enough of them to connect each group."""
    counts = np.zeros(_BUCKETS, np.int32)
    for _, shingles in texts:
        np.add.at(counts, _bucket(shingles), 1)
    early: Early = {}
    # Shorter texts first, so that what is looked up is never longer than what is at hand.
    order = sorted(range(len(texts)), key=lambda number: len(texts[number][1]))
    for number in order:
        place, shingles = texts[number]
        size = len(shingles)
        for candidate in _candidates(shingles, counts, early, number):
            known, theirs = texts[candidate]
            if groups.of(known) == groups.of(place) or not _enough(len(theirs), size):
                continue
            shared = len(np.intersect1d(shingles, theirs, assume_unique=True))
            if _enough(shared, size + len(theirs) - shared):
                yield known, place


def _enough(shared: int, of: int) -> bool:
    return shared * SHARE[1] >= of * SHARE[0]


def _bucket(shingles: Hashes) -> npt.NDArray[np.int64]:
    return (shingles & np.uint64(_BUCKETS - 1)).astype(np.int64)


def _candidates(
    shingles: Hashes, counts: npt.NDArray[np.int32], early: Early, number: int
) -> list[int]:
    """Earlier texts with a shingle in common in both prefixes; this one is put beside them."""
    often = counts[_bucket(shingles)]
    length = len(shingles) * (SHARE[1] - SHARE[0]) // SHARE[1] + 1
    prefix = np.lexsort((shingles, often))[:length]
    found: dict[int, None] = {}
    for shingle in shingles[prefix[often[prefix] > 1]].tolist():  # the others nobody else has
        there = early.setdefault(shingle, number)
        if isinstance(there, deque):
            found.update(dict.fromkeys(there))
            there.append(number)
        elif there != number:
            found[there] = None
            early[shingle] = deque((there, number), MOST_COMPARED)
    return list(found)
