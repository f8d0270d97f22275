"""-log p of every token of a text, exact, whatever the batching.

Pieces of a document are read side by side. The first reading guesses an empty state at the
start of each; then each piece is read again from the state in which its predecessor really
ended, until its states meet those of the first reading, and a whole chunk costs the same
again (a trained network forgets its starting state, usually within some hundred tokens). If
they never meet, the piece after it is read again too, and so on: in the worst case the text is
read from front to back. What comes out is what one stream would give, to about 1e-6 of it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from charlm.evaluation.pieces import Piece
from charlm.evaluation.target_nats import TargetNats
from charlm.model.language_model import LanguageModel
from charlm.model.stack import StackState
from charlm.text.tokenizers.base import Grammar

STREAMS = 64  # pieces read side by side
CHUNK = 128  # time steps of one pass
LONGEST_PIECE = 64 * CHUNK
SHORTEST_PIECE = 4 * CHUNK  # the second reading of its beginning must not cost more than the rest
# Two readings of a piece have met where their states are closer than this and not drawing
# apart, and the chunk before cost the same to _MOVED, token by token. Some units of trained
# LSTMs keep a difference for thousands of steps, and nothing comes of it; cells that never
# forget keep one that matters, and it shows in every chunk.
_MET = 1e-2
_MOVED = 1e-6
_SAME = 1e-6  # states closer than this are the same, to rounding
# After so many readings of what is pending, it is read piece by piece: side by side, a model
# that never forgets would read all that is left once more for each piece.
_PASSES = 3


def piece_length(tokens: int) -> int:
    """A multiple of CHUNK that cuts `tokens` into about STREAMS pieces."""
    even = -(-tokens // (STREAMS * CHUNK)) * CHUNK
    return min(max(even, SHORTEST_PIECE), LONGEST_PIECE)


def streams_of(longest: int) -> int:
    """How many pieces that do not hang together to read side by side: the more the shorter."""
    return max(STREAMS, STREAMS * CHUNK // longest)


@dataclass
class Reading:
    """What a piece of N tokens came to, and what reading it again from another start changed.

    `borders[k]` is the state before its chunk k, the last its final state.
    """

    nats: np.ndarray  # (N,) -log p of its tokens, float64
    borders: list[StackState] = field(default_factory=list)
    shift: float = 1.0  # from the start of the reading before to that of the last one
    moved: float = np.inf  # the sum of what tokens cost more or less than in the one before

    def begin(self, start: StackState) -> None:
        """It is read, or read again, from `start`."""
        if self.borders:
            self.shift, self.moved = _distance(start, self.borders[0]), 0.0
        self.borders[:1] = [start]

    def matters(self, start: StackState) -> bool:
        """Whether reading it from `start` would change it, judged by what the last shift did."""
        if start is self.borders[0]:
            return False
        shift = _distance(start, self.borders[0])
        small = self.moved * shift <= _MOVED * self.nats.sum() * self.shift
        return not (shift <= _SAME or small)  # NaN matters


class TokenReader:
    """Reads texts and gives -log p of their tokens; dropout off.

    `check` is called now and then and may raise, to break off.
    """

    def __init__(
        self,
        model: LanguageModel,
        grammar: Grammar,
        check: Callable[[], None] = lambda: None,
        temperature: float = 1.0,
    ) -> None:
        self.model, self.grammar, self.check = model, grammar, check
        self.target_nats = TargetNats(model, grammar, temperature)
        self.device = self.target_nats.device
        self.carried = model.empty_state(1)  # the state after what was read last

    def read(
        self, ids: np.ndarray, pieces: Iterable[Piece], streams: int = STREAMS
    ) -> Iterator[tuple[Piece, Reading]]:
        """Each piece of ids (N,) with its reading, in order, so many of them side by side.

        If the first piece is not fresh, it goes on from what was read last.
        """
        remaining = iter(pieces)
        while group := list(islice(remaining, streams)):
            yield from zip(group, self._read_group(ids, group), strict=True)

    @torch.inference_mode()
    def sum_apart(self, ids: np.ndarray, pieces: Iterator[Piece], longest: int) -> float:
        """-log p of all tokens of fresh pieces together, the more side by side the shorter
        the `longest` can be."""
        streams = streams_of(longest)
        nats = 0.0
        while group := list(islice(pieces, streams)):
            state = self.model.empty_state(len(group))
            spelling = np.array([piece.grammar_state for piece in group])
            chunk = 0
            while group:
                self.check()
                found, state, spelling = self._chunk(ids, group, chunk, state, spelling)
                left = np.array([len(piece) for piece in group]) - chunk * CHUNK
                nats += float(found[np.arange(len(found))[:, None] < left].sum())
                keep = np.flatnonzero(left > CHUNK).tolist()
                group, chunk = [group[column] for column in keep], chunk + 1
                state, spelling = _columns(state, keep), spelling[keep]
        return nats

    @torch.inference_mode()
    def _read_group(self, ids: np.ndarray, group: list[Piece]) -> list[Reading]:
        readings = [Reading(np.empty(len(piece))) for piece in group]
        for p, reading in enumerate(readings):
            goes_on = p == 0 and not group[0].fresh
            reading.begin(self.carried if goes_on else self.model.empty_state(1))
        pending = list(range(len(group)))
        passes = 0
        while pending:
            self._run(ids, group, pending, readings)
            passes += 1
            ends = {p: readings[p - 1].borders[-1] for p in range(1, len(group))}
            pending = [p for p in ends if not group[p].fresh and readings[p].matters(ends[p])]
            if passes >= _PASSES:
                pending = pending[:1]
            for p in pending:
                readings[p].begin(ends[p])
        self.carried = self._end(ids, group[-1], readings[-1].borders)
        return readings

    def _end(self, ids: np.ndarray, piece: Piece, borders: list[StackState]) -> StackState:
        """The state after a piece: what was read beside longer ones was padded at its end."""
        whole, rest = divmod(len(piece), CHUNK)
        if not rest:
            return borders[-1]
        return self._chunk(ids, [piece], whole, borders[whole], np.zeros(1, np.uint8))[1]

    def _run(
        self,
        ids: np.ndarray,
        group: list[Piece],
        pending: list[int],
        readings: list[Reading],
    ) -> None:
        """Read the pending pieces from their starts, each to its end or until it meets the
        states of an earlier reading."""
        active = pending
        state = _concatenate([readings[p].borders[0] for p in active])
        spelling = np.array([group[p].grammar_state for p in active])
        # How far each one is from its earlier reading, where it has one.
        distance = {p: readings[p].shift for p in active if len(readings[p].borders) > 1}
        chunk = 0
        while active:
            self.check()
            nats, state, spelling = self._chunk(
                ids, [group[p] for p in active], chunk, state, spelling
            )
            keep = []
            for column, p in enumerate(active):
                reading, begin = readings[p], chunk * CHUNK
                count = min(CHUNK, len(group[p]) - begin)
                place = slice(begin, begin + count)
                before = reading.nats[place].copy()
                reading.nats[place] = nats[:count, column]
                after = _columns(state, [column])
                if p in distance:
                    moved = float(np.abs(reading.nats[place] - before).sum())
                    reading.moved += moved
                    last, distance[p] = distance[p], _distance(after, reading.borders[chunk + 1])
                    met = distance[p] <= max(min(_MET, last), _SAME)
                    if met and moved <= _MOVED * before.sum():
                        continue
                reading.borders[chunk + 1 : chunk + 2] = [after]
                if begin + count < len(group[p]):
                    keep.append(column)
            if len(keep) < len(active):
                state, spelling = _columns(state, keep), spelling[keep]
                active = [active[column] for column in keep]
            chunk += 1

    def _chunk(
        self,
        ids: np.ndarray,
        pieces: list[Piece],
        chunk: int,
        state: StackState,
        spelling: np.ndarray,
    ) -> tuple[np.ndarray, StackState, np.ndarray]:
        """One pass over the chunk-th CHUNK tokens of the pieces, side by side.

        Returns -log p (T, B), the state and the spelling states after it. A piece that ends
        inside the chunk is padded with its last token: what it gives there, its state too, is
        never used, since the piece that follows it begins a document (or see `_end`).
        """
        begins = np.array([piece.begin + chunk * CHUNK for piece in pieces])
        ends = np.array([piece.end for piece in pieces])
        T = int(min(CHUNK, (ends - begins).max()))
        positions = np.minimum(begins + np.arange(T)[:, None], ends - 1)  # (T, B)
        targets = ids[positions].astype(np.int64)
        inputs = np.empty_like(targets)
        inputs[1:] = targets[:-1]
        for column, piece in enumerate(pieces):
            inputs[0, column] = ids[begins[column] - 1] if chunk else piece.first_input
        passed = self.model(torch.from_numpy(inputs).to(self.device), state)
        before, spelling = self.grammar.run(spelling, targets)
        return self.target_nats(passed.outputs, targets, before), passed.state, spelling


def _distance(a: StackState, b: StackState) -> float:
    """How far two states are from each other in the unit that differs most, against its size."""
    return max(
        float(((x - y).abs() / (1 + y.abs())).max())
        for layer_a, layer_b in zip(a, b, strict=True)
        for x, y in zip(layer_a, layer_b, strict=True)
    )


def _columns(state: StackState, columns: list[int]) -> StackState:
    return tuple(tuple(part[columns] for part in layer) for layer in state)


def _concatenate(states: list[StackState]) -> StackState:
    return tuple(
        tuple(torch.cat(parts) for parts in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    )
