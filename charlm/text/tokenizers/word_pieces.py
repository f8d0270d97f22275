"""The pieces of texts by number: what comes again and again is cut and looked at once.

A text is first cut at whitespace into chunks, a word with the space before it and what touches
it, which is quick; most chunks were seen before, and their pieces are known.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import regex

_CHUNKS: Final = re.compile(r" ?\S+|\n|[^\S\n]+")
MOST_CHUNKS: Final = 1 << 19  # known at once: some 100 MB
MOST_PIECES: Final = 1 << 22  # in them: where there are no spaces a chunk is a whole line
# What joins with whatever follows it, whitespace too, to one piece (Unicode Annex 29, GB9b).
_JOINS_ON: Final = regex.compile(r"\p{GCB=Prepend}")
_FIRST_JOINING: Final = "\u0600"


class Growing:
    """Numbers that come one by one and are wanted as an array."""

    def __init__(self, dtype: type) -> None:
        self._room: npt.NDArray[Any] = np.empty(64, dtype)
        self._size = 0
        self.new: list[int] = []

    def __len__(self) -> int:
        return self._size + len(self.new)

    @property
    def array(self) -> npt.NDArray[Any]:
        if self.new:
            begin, self._size = self._size, len(self)
            if self._size > len(self._room):
                self._room = np.resize(self._room, 2 * self._size)
            self._room[begin : self._size] = self.new
            self.new.clear()
        return self._room[: self._size]


class _JoinedOnError(Exception):
    """A chunk that cannot be cut without what follows it."""


class KnownPieces:
    """Every piece that was met, with its number and its kind; and chunks cut into pieces.

    cut: a text into its pieces; kind_of: of a piece.
    """

    def __init__(self, cut: Callable[[str], list[str]], kind_of: Callable[[str], int]) -> None:
        self._cut, self._kind_of = cut, kind_of
        self.texts: list[str] = []  # by number
        self._numbers: dict[str, int] = {}
        self._kinds = Growing(np.uint8)
        self._chunks = _Chunks(self._take_apart)
        # Where the pieces of each chunk begin among those of all chunks, and how many they are.
        self._begins, self._counts, self._pieces = (Growing(np.intp) for _ in range(3))

    @property
    def full(self) -> bool:
        """Whether so much is known that it is better to begin anew."""
        return len(self._chunks) > MOST_CHUNKS or len(self._pieces) > MOST_PIECES

    @property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """By number."""
        return self._kinds.array

    def number(self, piece: str) -> int:
        """Of a piece, which is known from now on."""
        found = self._numbers.get(piece)
        if found is None:
            found = self._numbers[piece] = len(self.texts)
            self.texts.append(piece)
            self._kinds.new.append(self._kind_of(piece))
        return found

    def of(self, text: str) -> npt.NDArray[np.intp]:
        """(N,) the numbers of the pieces of `text`."""
        chunks = _CHUNKS.findall(text)
        try:
            found = np.fromiter(map(self._chunks.__getitem__, chunks), np.intp, len(chunks))
        except _JoinedOnError:
            return np.array([self.number(piece) for piece in self._cut(text)], np.intp)
        counts = self._counts.array[found]
        ends = np.cumsum(counts)
        # Piece n of the text is as far from its chunk's first as n is from that one's place.
        places = np.repeat(self._begins.array[found] - (ends - counts), counts)
        pieces: npt.NDArray[np.intp] = self._pieces.array[places + np.arange(len(places))]
        return pieces

    def _take_apart(self, chunk: str) -> int:
        last = chunk[-1]
        if last >= _FIRST_JOINING and _JOINS_ON.match(last):
            raise _JoinedOnError
        pieces = [self.number(piece) for piece in self._cut(chunk)]
        self._begins.new.append(len(self._pieces))
        self._counts.new.append(len(pieces))
        self._pieces.new += pieces
        return len(self._chunks)


class _Chunks(dict[str, int]):
    def __init__(self, take_apart: Callable[[str], int]) -> None:
        super().__init__()
        self._take_apart = take_apart

    def __missing__(self, chunk: str) -> int:
        found = self[chunk] = self._take_apart(chunk)
        return found
