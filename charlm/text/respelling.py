"""What an unknown word may have been meant to be: the nearest words of a list, split or joined."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charlm.text import spelling_errors
from charlm.text.tokenizers.utf8 import code_points
from charlm.text.word_list import LONGEST_WORD, Place, WordList

FARTHEST = 2  # edits
_BAG = 64  # letters are counted by their code modulo this
_FEW = 200  # words that are looked at closely


@dataclass(frozen=True)
class Candidate:
    """What may have been meant, its -log p(spelling | text), and how often it was seen.

    before, after: characters beside the word that it stands for too.
    """

    text: str
    cost: float
    count: int
    before: int = 0
    after: int = 0


class Respelling:
    """Candidates out of a list of words."""

    def __init__(self, words: WordList) -> None:
        self.list = words
        # By length, so that those of like length stand together.
        self._words = sorted((w for w in words.words if len(w) <= LONGEST_WORD), key=len)
        self._lengths = np.array([len(word) for word in self._words], np.int64)
        self._codes = np.zeros((len(self._words), LONGEST_WORD), np.uint32)
        self._bags = np.zeros((len(self._words), _BAG), np.int8)
        for row, word in enumerate(self._words):
            self._codes[row, : len(word)], self._bags[row] = code_points(word), _bag(word)

    def candidates(self, place: Place) -> list[Candidate]:
        """For a word that the list has not, the most likely without its context first."""
        found = {
            candidate.text: candidate
            for candidate in (
                *self._near(place.word),
                *self._split(place.word),
                *self._joined(place),
            )
        }
        total = sum(candidate.count for candidate in found.values()) + 1
        return sorted(found.values(), key=lambda c: (c.cost - math.log(c.count / total), c.text))

    def _near(self, word: str) -> Iterator[Candidate]:
        """Words of at most FARTHEST edits."""
        low = word.lower()
        begin = int(np.searchsorted(self._lengths, len(low) - FARTHEST))
        end = int(np.searchsorted(self._lengths, len(low) + FARTHEST, side="right"))
        # An edit changes the numbers of letters by two at most.
        off = np.abs(self._bags[begin:end] - _bag(low)).sum(axis=1, dtype=np.int64)
        rows = begin + np.flatnonzero(off <= 2 * FARTHEST)
        if not len(rows):
            return
        lengths = self._lengths[rows]
        codes = self._codes[rows, : lengths.max()]
        distances = spelling_errors.distances(code_points(low), codes, lengths)
        near = [
            (int(distance), -self.list.count(self._words[row]), self._words[row])
            for row, distance in zip(rows.tolist(), distances, strict=True)
            if 0 < distance <= FARTHEST
        ]
        for _, count, other in sorted(near)[:_FEW]:
            text = self.list.written_like(other, word)
            yield Candidate(text, spelling_errors.cost(low, other), -count)

    def _split(self, word: str) -> Iterator[Candidate]:
        """Two words that were written as one."""
        for cut in range(1, len(word)):
            first, second = word[:cut], word[cut:]
            count = min(self.list.count(first), self.list.count(second))
            if count:
                yield Candidate(f"{first} {second}", spelling_errors.SPLIT, count)

    def _joined(self, place: Place) -> Iterator[Candidate]:
        """A word that was written as two."""
        for first, second, before, after in (
            (place.preceding, place.word, 1 + len(place.preceding), 0),
            (place.word, place.following, 0, 1 + len(place.following)),
        ):
            count = self.list.count(first + second) if first and second else 0
            if count:
                text = self.list.written_like((first + second).lower(), first)
                yield Candidate(text, spelling_errors.JOIN, count, before, after)


def _bag(word: str) -> np.ndarray:
    return np.bincount(code_points(word) % _BAG, minlength=_BAG).astype(np.int8)
