"""Which passages of a text stand word for word in another one, by their length.

Windows of n characters are compared by a hash of 64 bits and then letter by letter, so the answer
is exact; the other text is read in blocks, so it may be larger than memory. The hash of a window
c_i ... c_{i+n-1} is sum_k c_{i+k} b^k mod 2^64, from the running sum of c_i b^i.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]  # code points
Truths = npt.NDArray[np.bool_]
Documents = Callable[[], Iterator[Iterator[str]]]  # each in blocks, from the beginning every time

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers have inverses
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
_BLOCK = 1 << 20  # characters of a document
_COMPARED = 1 << 22  # characters compared letter by letter at a time


def codes_of(text: str) -> Codes:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def copied(texts: Iterable[Codes], documents: Documents, length: int) -> list[Truths]:
    """For each text, which of its characters lie in `length` characters or more that stand in
    the documents word for word. No passage goes from one document to the next."""
    probes = list(texts)
    every = np.concatenate([*probes, np.empty(0, np.uint32)])
    windows = np.array([max(0, len(codes) - length + 1) for codes in probes], np.int64)
    # Where the characters of each text begin among all, and its windows.
    characters = np.cumsum([0, *map(len, probes)])[:-1]
    begins = np.cumsum([0, *windows])[:-1]
    hashes, first, inverse = np.unique(
        np.concatenate([_hashes(codes, length) for codes in probes]),
        return_index=True,
        return_inverse=True,
    )
    found = np.zeros(len(hashes), np.bool_)
    for block in _blocks(documents, length):
        if not len(hashes):
            break
        there = _hashes(block, length)
        place = np.minimum(np.searchsorted(hashes, there), len(hashes) - 1)
        hits = np.flatnonzero((hashes[place] == there) & ~found[place])
        which, where = np.unique(place[hits], return_index=True)
        # A window is compared with the first of its hash: others that share it are equal to it,
        # or were one of two among 2^64.
        text = np.searchsorted(begins, first[which], side="right") - 1
        mine = characters[text] + first[which] - begins[text]
        for rows in _in_parts(len(which), length):
            span = np.arange(length)
            stand = block[hits[where[rows], None] + span]
            found[which[rows]] |= (stand == every[mine[rows, None] + span]).all(axis=1)
    return [
        _covered(found[inverse[begin : begin + count]], length, len(codes))
        for codes, begin, count in zip(probes, begins, windows, strict=True)
    ]


def _in_parts(windows: int, length: int) -> Iterator[slice]:
    """So many windows at a time that their characters are not too many to be held."""
    rows = max(1, _COMPARED // length)
    return (slice(begin, begin + rows) for begin in range(0, windows, rows))


def longest(texts: Iterable[Codes], documents: Documents) -> int:
    """The most characters of one of the texts that stand in the documents in one piece."""
    probes = list(texts)
    low, high = 0, max((len(codes) for codes in probes), default=0)
    while low < high:  # a piece of n characters has one of n - 1 in it
        middle = (low + high + 1) // 2
        if any(truths.any() for truths in copied(probes, documents, middle)):
            low = middle
        else:
            high = middle - 1
    return low


def _covered(starts: Truths, length: int, characters: int) -> Truths:
    """The characters in a window of `length` that begins at one of `starts`."""
    edges = np.zeros(characters + 1, np.int64)
    begins = np.flatnonzero(starts)
    np.add.at(edges, begins, 1)
    np.add.at(edges, begins + length, -1)
    return np.cumsum(edges[:-1]) > 0


def _hashes(codes: Codes, length: int) -> npt.NDArray[np.uint64]:
    """Of every window of `length` characters."""
    if len(codes) < length:
        return np.empty(0, np.uint64)
    powers = np.cumprod(np.full(len(codes), _BASE))  # b^1 ... b^N, mod 2^64 as all here
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((codes + np.uint64(1)) * powers)])
    backward = np.cumprod(np.full(len(codes) - length + 1, _INVERSE))
    windows: npt.NDArray[np.uint64] = (sums[length:] - sums[:-length]) * backward
    return windows


def _blocks(documents: Documents, length: int) -> Iterator[Codes]:
    """Pieces of each document that overlap by length - 1 characters."""
    for document in documents():
        kept = np.empty(0, np.uint32)
        for text in document:
            kept = np.concatenate([kept, codes_of(text)])
            if len(kept) >= _BLOCK + length:
                yield kept
                kept = kept[len(kept) - length + 1 :]
        if len(kept) >= length:
            yield kept


def pieces_of(documents: Documents, length: int, most: int) -> Iterator[Codes]:
    """The text in pieces of `length`, up to `most`; not more of it is read than they take."""
    count, waiting = 0, np.empty(0, np.uint32)
    for document in documents():
        for block in document:
            waiting = np.concatenate([waiting, codes_of(block)])
            while len(waiting) >= length:
                yield waiting[:length]
                waiting, count = waiting[length:], count + 1
                if count == most:
                    return
