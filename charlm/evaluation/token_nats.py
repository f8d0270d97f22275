"""-log p of every token of a text, exact, whatever the batching.

Pieces of a document are read side by side. The first reading guesses an empty state at the
start of each; then each piece is read again from the state in which its predecessor really
ended, until its states meet those of the first reading, and a whole chunk costs the same
again (a trained network forgets its starting state, usually within some hundred tokens). If
they never meet, the piece after it is read again too, and so on: in the worst case the text is
read from front to back. What comes out is what one stream would give, to about 1e-6 of it.

    p(v | ...) = (1 - m_s) q_v + m_s floor_{s,v}

with s the state of the spelling automaton and q the softmax over its legal tokens: tokens that
training hardly ever met keep a floor, so that every text has finite bits
(`text.tokenizers.base.Grammar`).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from torch.nn import functional as F

from charlm.evaluation.pieces import Piece
from charlm.model.language_model import LanguageModel
from charlm.model.legal import LegalTokens
from charlm.model.stack import StackState
from charlm.text.tokenizers.base import Grammar

STREAMS = 64  # pieces read side by side
CHUNK = 128  # time steps of one pass
LONGEST_PIECE = 64 * CHUNK
SHORTEST_PIECE = 4 * CHUNK  # the second reading of its beginning must not cost more than the rest
_MOST_LOGITS = 2**24  # held at once: 64 MiB in fp32
# States closer than this have met. What is left of the difference moves the sum by less than
# 1e-9 of it (trained LSTMs on Tiny Shakespeare; at 1e-1 too), as it goes on shrinking.
_MET = 1e-2
# And a chunk read again must cost the same, to rounding: a difference that still matters shows.
_MOVED = 1e-6


def piece_length(tokens: int) -> int:
    """A multiple of CHUNK that cuts `tokens` into about STREAMS pieces."""
    even = -(-tokens // (STREAMS * CHUNK)) * CHUNK
    return min(max(even, SHORTEST_PIECE), LONGEST_PIECE)


class TokenReader:
    """Reads texts and gives -log p of their tokens; dropout off.

    `check` is called now and then and may raise, to break off.
    """

    def __init__(
        self,
        model: LanguageModel,
        grammar: Grammar,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.model, self.grammar, self.check = model, grammar, check
        self.device = model.decoder.bias.device
        self.legal = LegalTokens(grammar.legal, self.device)
        self.carried = model.empty_state(1)  # the state after what was read last

    def read(self, ids: np.ndarray, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, np.ndarray]]:
        """Each piece of ids (N,) with -log p of its tokens (nats, float64), in order.

        If the first piece is not fresh, it goes on from what was read last.
        """
        remaining = iter(pieces)
        while group := list(islice(remaining, STREAMS)):
            yield from zip(group, self._read_group(ids, group), strict=True)

    @torch.inference_mode()
    def _read_group(self, ids: np.ndarray, group: list[Piece]) -> list[np.ndarray]:
        nats = [np.empty(len(piece)) for piece in group]
        # borders[p][k]: the state of piece p before its chunk k; the last is its final state.
        borders: list[list[StackState]] = [[] for _ in group]
        starts = [self.model.empty_state(1) for _ in group]
        if not group[0].fresh:
            starts[0] = self.carried
        pending = list(range(len(group)))
        while pending:
            self._run(ids, group, pending, starts, borders, nats)
            pending = []
            for p in range(1, len(group)):
                if not group[p].fresh and not _met(borders[p][0], borders[p - 1][-1]):
                    starts[p] = borders[p - 1][-1]
                    pending.append(p)
        self.carried = self._end(ids, group[-1], borders[-1])
        return nats

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
        starts: list[StackState],
        borders: list[list[StackState]],
        nats: list[np.ndarray],
    ) -> None:
        """Read the pending pieces from their starts, each to its end or until it meets the
        states of an earlier reading."""
        active = pending
        state = _concatenate([starts[p] for p in active])
        spelling = np.array([group[p].grammar_state for p in active])
        again = {p: bool(borders[p]) for p in active}
        for p in active:
            borders[p][:1] = [starts[p]]
        chunk = 0
        while active:
            self.check()
            nats_chunk, state, spelling = self._chunk(
                ids, [group[p] for p in active], chunk, state, spelling
            )
            keep = []
            for column, p in enumerate(active):
                begin = chunk * CHUNK
                count = min(CHUNK, len(group[p]) - begin)
                place = slice(begin, begin + count)
                before = nats[p][place].sum() if again[p] else 0.0
                nats[p][place] = nats_chunk[:count, column]
                moved = abs(nats[p][place].sum() - before) > _MOVED * abs(before)
                after = _column(state, column)
                if again[p] and not moved and _met(borders[p][chunk + 1], after):
                    continue
                borders[p][chunk + 1 : chunk + 2] = [after]
                if begin + count < len(group[p]):
                    keep.append(column)
            if len(keep) < len(active):
                state = tuple(tuple(part[keep] for part in layer) for layer in state)
                spelling = spelling[keep]
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
        outputs, state, _ = self.model(torch.from_numpy(inputs).to(self.device), state)
        on_device = torch.from_numpy(targets).to(self.device)
        rows = max(1, _MOST_LOGITS // (self.model.decoder.bias.numel() * len(pieces)))
        before, spelling = self.grammar.run(spelling, targets)
        parts = []
        for begin in range(0, T, rows):
            part = slice(begin, begin + rows)
            logits = self.model.logits(outputs[part]).flatten(0, 1)
            logits = self.legal.restrict(logits, before[part].ravel())
            target = on_device[part].flatten()
            parts.append(F.cross_entropy(logits, target, reduction="none").cpu())
        model_nats = torch.cat(parts).double().numpy().reshape(targets.shape)
        mass = self.grammar.floor_mass[before]
        floor = self.grammar.floor[before, targets]
        with np.errstate(divide="ignore"):  # a padding may be illegal where it stands
            nats = -np.log((1 - mass) * np.exp(-model_nats) + mass * floor)
        return nats, state, spelling


def _met(a: StackState, b: StackState) -> bool:
    """Whether two states are the same to _MET, in every unit."""
    return all(
        torch.allclose(x, y, rtol=_MET, atol=_MET)
        for layer_a, layer_b in zip(a, b, strict=True)
        for x, y in zip(layer_a, layer_b, strict=True)
    )


def _column(state: StackState, column: int) -> StackState:
    return tuple(tuple(part[column : column + 1] for part in layer) for layer in state)


def _concatenate(states: list[StackState]) -> StackState:
    return tuple(
        tuple(torch.cat(parts) for parts in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    )
