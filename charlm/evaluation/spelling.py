"""Spelling: words that a list has not, and what a language model would rather read in their place.

For a word w in its context and a candidate c, the gain in nats is

    g(c) = a (log p(context with c) - log p(context with w)) + b log n(c) + log p(w | c)

with the error model of `text.spelling_errors`, the count n of the candidate, and the language
model's price of a piece of the text, some words to the left and to the right; with a backward
run beside it, the mean of what both charge. The model counts for half, as it is surer than it
should be (scripts/LOG.md). A word is corrected where the best gain is above a threshold: the
smallest that changes no more than a given share of the words of a text that is right. It may be
below zero: where that text has few words that the list has not, such a word is an error before
it is read.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from charlm.evaluation.scoring import LineScorer
from charlm.text.respelling import Candidate, Respelling
from charlm.text.tokenizers.word_split import Splitting
from charlm.text.word_list import Place, WordList, words_in

LEFT, RIGHT = 60, 40  # characters of context
TRUST = 0.5  # a: of the language model
COMMON = 0.2  # b: of how often a candidate was seen
_LINES = 64  # read at once
_ENOUGH = 200  # unknown words of a right text, to choose a threshold by


@dataclass(frozen=True)
class Choice:
    """A candidate and its gain over the word as it stands."""

    candidate: Candidate
    gain: float


@dataclass
class Unknown:
    """A word of a line that the list has not; choices: the best first."""

    place: Place
    choices: list[Choice] = field(default_factory=list)
    corrected: bool = False

    @property
    def gain(self) -> float:
        """Of the best choice, where there is one."""
        return self.choices[0].gain


@dataclass(frozen=True)
class CorrectedLine:
    """A line as it comes out, with what was unknown in it, and how many words it has."""

    text: str
    unknown: list[Unknown]
    words: int


class Corrector:
    """Corrects the spelling of lines, in order. scorers: of a run, or of two that read both ways.

    A line's context goes back into the lines before it, as they were.
    """

    def __init__(
        self, scorers: Sequence[LineScorer], words: WordList, most: int, threshold: float = 0.0
    ) -> None:
        self.threshold = threshold
        self._scorers, self._most = scorers, most
        self._list, self._respelling = words, Respelling(words)
        self._splitting = Splitting("unicode")
        self._before = ""

    def lines(self, lines: Sequence[str]) -> Iterator[CorrectedLine]:
        """The lines corrected; each with its line break where it has one."""
        for begin in range(0, len(lines), _LINES):
            batch = lines[begin : begin + _LINES]
            found = [self._read(line) for line in batch]
            self._weigh(batch, [unknown for unknown, _ in found])
            for line, (unknown, words) in zip(batch, found, strict=True):
                yield CorrectedLine(self._corrected(line, unknown), unknown, words)

    def calibrate(self, blocks: Iterable[list[str]], false_alarms: float) -> tuple[int, int]:
        """Choose the threshold on lines that are right; returns words and unknown ones read."""
        gains: list[float] = []
        words = unknown = 0
        for block in blocks:
            for line in self.lines(block):
                gains += [one.gain for one in line.unknown if one.choices]
                words, unknown = words + line.words, unknown + len(line.unknown)
            if unknown >= _ENOUGH:
                break
        self.threshold = threshold_for(gains, int(false_alarms * words))
        self._before = ""
        return words, unknown

    def _read(self, line: str) -> tuple[list[Unknown], int]:
        places = list(words_in(line, self._splitting))
        unknown = [
            Unknown(place)
            for place in places
            if len(place.word) > 1 and place.word not in self._list
        ]
        return unknown, len(places)

    def _weigh(self, lines: Sequence[str], unknown: Sequence[list[Unknown]]) -> None:
        """Give every unknown word of the lines its choices, all of them read side by side."""
        texts: list[str] = []
        asked: list[tuple[Unknown, list[Candidate]]] = []
        for line, found in zip(lines, unknown, strict=True):
            for one in found:
                candidates = self._respelling.candidates(one.place)
                if not candidates:
                    continue
                candidates = candidates[: self._most]
                left, right = self._context(line, one.place)
                asked.append((one, candidates))
                texts.append(left + one.place.word + right)
                texts += [
                    left[: len(left) - candidate.before] + candidate.text + right[candidate.after :]
                    for candidate in candidates
                ]
            self._before = (self._before + line)[-LEFT:]
        nats = self._nats(texts)
        at = 0
        for one, candidates in asked:
            word, *others = nats[at : at + 1 + len(candidates)]
            at += 1 + len(candidates)
            one.choices = sorted(
                (
                    Choice(candidate, _gain(float(word - other), candidate))
                    for candidate, other in zip(candidates, others, strict=True)
                ),
                key=lambda choice: -choice.gain,
            )

    def _nats(self, texts: list[str]) -> np.ndarray:
        """-log p of each text, the mean over the runs."""
        if not texts:
            return np.empty(0)
        bits = [[line.bits for line in scorer.score(texts)] for scorer in self._scorers]
        return np.asarray(np.mean(bits, axis=0) * np.log(2))

    def _context(self, line: str, place: Place) -> tuple[str, str]:
        """What stands before and after a word, in whole words where there are any."""
        left = (self._before + line[: place.begin])[-LEFT:]
        right = line[place.begin + len(place.word) :]
        if len(left) == LEFT:
            # A word that may be joined stays whole.
            cut = left.find(" ") + 1
            left = left[min(cut, LEFT - 1 - len(place.preceding)) :]
        if len(right) > RIGHT:
            right = right[: max(right.rfind(" ", 0, RIGHT), 1 + len(place.following))]
        return left, right

    def _corrected(self, line: str, unknown: list[Unknown]) -> str:
        pieces, at = [], 0
        for one in unknown:
            if not one.choices or one.gain <= self.threshold:
                continue
            candidate = one.choices[0].candidate
            begin = one.place.begin - candidate.before
            end = one.place.begin + len(one.place.word) + candidate.after
            if begin < at:
                continue
            pieces += [line[at:begin], candidate.text]
            at, one.corrected = end, True
        return "".join([*pieces, line[at:]])


def _gain(by_model: float, candidate: Candidate) -> float:
    return TRUST * by_model + COMMON * math.log(candidate.count) - candidate.cost


def threshold_for(gains: Sequence[float], allowed: int) -> float:
    """The smallest of the gains that at most `allowed` of them are above.

    0 where there are no more than that: what is allowed says nothing then.
    """
    falling = sorted(gains, reverse=True)
    return falling[allowed] if allowed < len(falling) else 0.0
