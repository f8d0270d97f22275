"""How a stream is cut into windows: all of one length, or of lengths drawn around it."""

from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from charlm.draws import Draws


class Place(NamedTuple):
    """A window of a stream: its first time step, counted from the epoch's, and its length."""

    start: int
    length: int


class WindowLengths(Protocol):
    """The windows of every epoch, of which there are always `count`."""

    count: int

    def place(self, epoch: int, index: int) -> Place: ...


class FixedLengths:
    """As many windows of `bptt` as fit into a stream of `stream_length`."""

    def __init__(self, stream_length: int, bptt: int) -> None:
        self.bptt, self.count = bptt, stream_length // bptt

    def place(self, epoch: int, index: int) -> Place:
        return Place(index * self.bptt, self.bptt)


class VariableLengths:
    """Lengths around `bptt`, so that windows end at other places each epoch (Merity et al. 2018,
    sec. 4.1).

    There, a length is N(bptt, 5) with probability .95 and N(bptt / 2, 5) else, at bptt 70. Each
    new shape costs the kernel library a set-up, so here it is one of four: bptt / 2 with
    probability .05, else bptt - d, bptt or bptt + d with 1/4, 1/2, 1/4, where d = bptt / 10 has
    the paper's spread. One set of lengths is drawn for the run, and its order for each epoch.
    """

    def __init__(self, stream_length: int, bptt: int, seed: int) -> None:
        spread = max(1, round(bptt / 10))
        choices = np.maximum(1, [bptt // 2, bptt - spread, bptt, bptt + spread])
        shares = [0.05, 0.95 / 4, 0.95 / 2, 0.95 / 4]
        enough = stream_length // int(choices.min()) + 1
        generator = Draws(seed, 0).numpy("window lengths")
        drawn = generator.choice(choices, size=enough, p=shares)
        fitting = int(np.searchsorted(np.cumsum(drawn), stream_length, side="right"))
        # A stream too short for the first length holds one of bptt, or the run would not be.
        self.lengths = drawn[:fitting] if fitting else np.array([bptt])
        self.count, self.seed = len(self.lengths), seed
        self._ends = lru_cache(maxsize=1)(self._ends_of)

    def _ends_of(self, epoch: int) -> np.ndarray:
        generator = Draws(self.seed, epoch).numpy("order of window lengths")
        return np.cumsum(generator.permutation(self.lengths))

    def place(self, epoch: int, index: int) -> Place:
        ends = self._ends(epoch)
        start = int(ends[index - 1]) if index else 0
        return Place(start, int(ends[index]) - start)
