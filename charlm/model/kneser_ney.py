"""What followed the last few tokens in a text, counted: interpolated modified Kneser-Ney.

    p_k(v | h) = max(c(h v) - D(c(h v)), 0) / c(h)  +  left(h) p_(k-1)(v | h')
    left(h)    = (D_1 N_1(h) + D_2 N_2(h) + D_3 N_3(h)) / c(h)
    D_i        = i - (i + 1) Y n_(i+1) / n_i,   Y = n_1 / (n_1 + 2 n_2),   i = 1, 2, 3 and more

with h the k - 1 tokens before v and h' those without the oldest (Chen and Goodman 1999, "An
empirical study of smoothing techniques for language modeling", sec. 3; Kneser and Ney 1995). c(h v)
is how often h v was read, where h is the longest that is counted; else how many different tokens
were read before it, and how often nothing was, at the beginning of a document. c(h) is its sum over
v, N_i(h) how many v have a c(h v) of i (3: or more), n_i how many pairs do; each D_i is kept from
0.05 to i - 0.05 (`discounts_of`). Of an h that was never read, p_k is p_(k-1).

Beside p stands what the longest known h says by itself, without those that are shorter:

    followers(v | h) = max(c(h v) - D(c(h v)), 0) / c(h) / (1 - left(h))

The state of the spelling automaton (`text.tokenizers.base.Grammar`) belongs to h, and p_0 is the
same for every token that is legal in it: so the chances of the legal tokens add up to 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

_TOTALS = 8  # c(h) of 1, 2 to 3, 4 to 7, ..., 128 and more
KINDS = 2 * _TOTALS  # of h of one length: by c(h), and by whether more than one v followed

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Contexts:
    """All h of one length that were read: C of them, with G pairs h v in all."""

    hashes: npt.NDArray[np.uint64]  # (C,) rising
    keys: npt.NDArray[np.int64]  # (G,) rising: number of h times V, plus v
    shares: npt.NDArray[np.float32]  # (G,) max(c(h v) - D, 0) / c(h)
    left: npt.NDArray[np.float32]  # (C,)
    kinds: npt.NDArray[np.uint8]  # (C,) below KINDS

    def find(self, hashes: npt.NDArray[np.uint64]) -> tuple[Ints, Flags]:
        """The number of each h, and whether there is one."""
        return _find(self.hashes, hashes)


class KneserNey:
    """Counts of the n-grams of a text, n = 1 ... `order`."""

    def __init__(self, legal: Flags, contexts: list[Contexts]) -> None:
        self._legal = legal  # (S, V)
        self._contexts = contexts  # by their length, from none
        self._hashing = _Hashing(legal)
        self._how_many = legal.sum(axis=1)  # (S,) are legal

    @property
    def order(self) -> int:
        return len(self._contexts)

    @property
    def kinds(self) -> int:
        """How many kinds of h there are: KINDS of each length, and one where none was read."""
        return self.order * KINDS + 1

    @classmethod
    def count(
        cls, ids: Ints, states: Ints, documents: Ints, legal: Flags, boundary_id: int, order: int
    ) -> "KneserNey":
        """Of ids (N,) in the automaton's states (N,), of which each has its `legal` (S, V) tokens.

        Documents begin at the places `documents`; before the first token of each stands the
        boundary token, and what was before that is not seen.
        """
        V = legal.shape[1]
        hashing = _Hashing(legal)
        begins = documents + np.arange(len(documents))
        stream = np.insert(ids.astype(np.int64), documents, boundary_id)
        states = np.insert(states, documents, 0)
        lengths = np.diff(begins, append=len(stream))
        before = np.arange(len(stream)) - np.repeat(begins, lengths)  # tokens, of the document
        hashes = hashing.longest(stream, order - 1)
        places = np.flatnonzero(before >= max(1, order - 1))
        contexts = []
        for length in range(order - 1, -1, -1):
            found, number = np.unique(
                hashes[places] + hashing.states[states[places]], return_inverse=True
            )
            keys, first, c = np.unique(
                number * V + stream[places], return_index=True, return_counts=True
            )
            contexts.append(_discounted(found, keys, c, V))
            if length:
                hashes = hashing.shorter(hashes, stream, length)
                # One of each pair, for what is before it; all that has nothing before it.
                places = places[first]
                if length > 1:
                    places = np.concatenate([places, np.flatnonzero(before == length - 1)])
        return cls(legal, contexts[::-1])

    def chances(self, tokens: Ints, states: Ints, before: Ints) -> tuple[Floats, Ints]:
        """p and `followers` (2, T), float64, of tokens (T,) in the automaton's states (T,), and the
        kind (T,) of the longest known h of each.

        `before` holds what stands before them in their document, the boundary token first: all of
        it, or the last `order` - 1.
        """
        history = before[len(before) - min(len(before), self.order - 1) :]
        stream = np.concatenate([history, tokens]).astype(np.int64)
        here = slice(len(history), None)
        p = 1.0 / self._how_many[states]
        followers, kinds = p, np.zeros(len(tokens), np.int64)
        V = self._legal.shape[1]
        for length, (contexts, hashes) in enumerate(
            zip(self._contexts, self._hashing.rising(stream), strict=False)
        ):
            number, known = contexts.find(hashes[here] + self._hashing.states[states])
            # With fewer tokens before it than this, a place has the hash of those: no h of here.
            if not known.any():
                break
            pair, seen = _find(contexts.keys, number * V + tokens)
            share = np.where(seen, contexts.shares[pair], 0)
            left = contexts.left[number]
            p = np.where(known, share + left * p, p)
            followers = np.where(known, share / (1 - left), followers)
            kind = contexts.kinds[number].astype(np.int64)  # in 8 bits the sum would not fit
            kinds = np.where(known, length * KINDS + kind + 1, kinds)
        return np.stack([p, followers]), kinds

    def distribution(self, before: Ints, state: int) -> tuple[Floats, int]:
        """p and `followers` (2, V) of what comes next, and the kind of the longest known h; as
        `chances`."""
        history = before[len(before) - min(len(before), self.order - 1) :].astype(np.int64)
        stream = np.append(history, 0)  # whatever comes, it is not part of its h
        p = self._legal[state] / self._how_many[state]
        followers, V, kind = p, len(p), 0
        for length, (contexts, hashes) in enumerate(
            zip(self._contexts, self._hashing.rising(stream), strict=False)
        ):
            number, known = contexts.find(hashes[-1:] + self._hashing.states[state])
            if not known[0]:
                break
            n = int(number[0])
            begin, end = np.searchsorted(contexts.keys, [n * V, (n + 1) * V])
            share = np.zeros(V)
            share[contexts.keys[begin:end] - n * V] = contexts.shares[begin:end]
            p = share + contexts.left[n] * p
            followers = share / (1 - contexts.left[n])
            kind = length * KINDS + int(contexts.kinds[n]) + 1
        return np.stack([p, followers]), kind


class _Hashing:
    """64 bits for the tokens before a place, and for the automaton's state there.

    The hash of m tokens is the sum of code(j-th before) base^(j-1), j = 1 ... m, modulo 2^64: of a
    hundred million that differ, no two have the same one but by a chance of 3 in 10,000.
    """

    def __init__(self, legal: Flags) -> None:
        draws = np.random.default_rng(0)
        states, V = legal.shape
        self._codes = draws.integers(0, 2**64, V, np.uint64)
        self.states = draws.integers(0, 2**64, states, np.uint64)
        base = int(draws.integers(0, 2**63)) * 2 + 1
        self._powers = [np.uint64(pow(base, j, 2**64)) for j in range(64)]

    def longest(self, stream: Ints, length: int) -> npt.NDArray[np.uint64]:
        """Of `length` tokens before each place (N,), or of those that there are."""
        return next(islice(self.rising(stream), length, None))

    def rising(self, stream: Ints) -> Iterator[npt.NDArray[np.uint64]]:
        """Of no token before each place (N,), of one, of two, and so on."""
        codes = self._codes[stream]
        hashes = np.zeros(len(stream), np.uint64)
        for length, power in enumerate(self._powers, start=1):
            yield hashes
            hashes = hashes.copy()
            hashes[length:] += codes[: max(0, len(codes) - length)] * power

    def shorter(
        self, hashes: npt.NDArray[np.uint64], stream: Ints, length: int
    ) -> npt.NDArray[np.uint64]:
        """Those of `length` tokens without the oldest."""
        found = hashes.copy()
        found[length:] -= self._codes[stream[: len(stream) - length]] * self._powers[length - 1]
        return found


def _discounted(
    hashes: npt.NDArray[np.uint64], keys: npt.NDArray[np.int64], c: Ints, V: int
) -> Contexts:
    starts = np.searchsorted(keys, np.arange(len(hashes)) * V)
    discounts = discounts_of(c)[np.minimum(c, 3)]
    total = np.add.reduceat(c, starts) if len(starts) else c
    lost = np.add.reduceat(discounts, starts) if len(starts) else discounts
    followers = np.diff(starts, append=len(keys))
    number = keys // V
    sizes = np.minimum(np.log2(total).astype(np.int64), _TOTALS - 1)
    return Contexts(
        hashes,
        keys,
        ((c - discounts) / total[number]).astype(np.float32),
        (lost / total).astype(np.float32),
        (2 * sizes + (followers > 1)).astype(np.uint8),
    )


def discounts_of(c: Ints) -> Floats:
    """(4,) D_0 = 0, D_1, D_2, D_3 for pairs that have these counts.

    Where there are too few for that, D_i is that of i - 1, and D_1 a half; each is at least a
    twentieth, so that something is left for what was not read.
    """
    n = np.bincount(np.minimum(c, 4), minlength=5)
    found = [0.0]
    ratio = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.0
    for i in (1, 2, 3):
        if ratio and n[i]:
            # n[4] would be of 4 and more: the formula has those of 4 alone.
            more = np.count_nonzero(c == 4) if i == 3 else n[i + 1]
            found.append(float(np.clip(i - (i + 1) * ratio * more / n[i], 0.05, i - 0.05)))
        else:
            found.append(max(found[-1], 0.5))
    return np.array(found)


def _find(rising: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> tuple[Ints, Flags]:
    """Where each of the wanted stands, and whether it is there; 0 where it is not."""
    if not len(rising):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    place = np.searchsorted(rising, wanted)
    place[place == len(rising)] = 0
    there = rising[place] == wanted
    return np.where(there, place, 0), there
