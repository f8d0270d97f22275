"""What a model charges for each line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from charlm.errors import UsageError
from charlm.evaluation.adapting import Adapting
from charlm.evaluation.pieces import Piece, document_pieces
from charlm.evaluation.token_nats import LONGEST_PIECE, STREAMS, TokenReader, streams_of
from charlm.model.count_mixture import CountMixture
from charlm.model.language_model import LanguageModel
from charlm.text.direction import BACKWARD, FORWARD, reversal
from charlm.text.tokenizers.base import Tokenizer


@dataclass(frozen=True)
class ScoredLine:
    """A line, its line break included where it has one, and -log2 p of each of its tokens.

    `beside`: the same of a model that has adapted to the lines before, by the way in which it did,
    and of the mixture with counts ("counts").
    """

    text: str
    ids: np.ndarray  # (N,)
    token_bits: np.ndarray  # (N,)
    unknown: int = 0  # tokens that stand for unknown words
    beside: Mapping[str, "ScoredLine"] = field(default_factory=dict)

    @property
    def bits(self) -> float:
        return float(self.token_bits.sum())

    @property
    def bits_per_character(self) -> float | None:
        """None where nobody was charged for spelling an unknown word."""
        return None if self.unknown else self.bits / len(self.text)


class LineScorer:
    """Scores lines in batches, in order.

    Each line starts from the empty state, or, with `carry_state`, where the last one ended:
    then all lines together are one document, and the sum is what `evaluate` finds. A backward
    model reads each line from its end; a token's bits are its own wherever they were read.
    `adapting`: ways in which a model adapts to the lines in their order, to score each beside;
    `mixture`: counts, to score beside the model, and beside each of those, with them mixed in.
    UsageError: a backward model with `carry_state`.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        carry_state: bool,
        direction: str = FORWARD,
        adapting: Mapping[str, Adapting] | None = None,
        mixture: CountMixture | None = None,
    ) -> None:
        if carry_state and direction == BACKWARD:
            raise UsageError(
                "--carry-state reads on from line to line, and this model reads a text from its "
                "end, which a stream of lines does not have until all of it is there",
                "Leave it out, or measure the whole text with `charlm evaluate`.",
            )
        self.tokenizer = tokenizer
        self.direction = direction
        self.carry_state = carry_state
        self.adapting, self.mixture = adapting or {}, mixture
        self._before = np.array([tokenizer.boundary_id])  # for counts
        self._reader = TokenReader(model, tokenizer.grammar)
        self._last_token: int | None = None

    def score(self, lines: Sequence[str]) -> Iterator[ScoredLine]:
        """The lines with their bits; no line may be empty (a line break is a token).

        One of whitespace alone has no token where words are all that is kept (--word-oov unk).
        """
        encoded = [self.tokenizer.encode(line) for line in lines]
        if self.carry_state:
            nats = self._carried(encoded)
        elif self.direction == BACKWARD:
            nats = self._from_the_end(encoded)
        else:
            nats = self._apart(encoded)
        for line, ids, found in zip(lines, encoded, nats, strict=True):
            adapted = {
                name: self._scored(line, ids, self._adapted(reading, ids))
                for name, reading in self.adapting.items()
            }
            scored = self._scored(line, ids, found, adapted)
            if self.mixture and self.carry_state:
                before = np.concatenate([self._before, ids])
                self._before = before[-self.mixture.counts.order :]
            yield scored

    def _scored(
        self,
        line: str,
        ids: np.ndarray,
        nats: np.ndarray,
        beside: Mapping[str, ScoredLine] | None = None,
    ) -> ScoredLine:
        """By a model that says `nats` of the tokens, and with counts where there are some."""
        unknown, beside = self.tokenizer.count_unknown(ids), dict(beside or {})
        if self.mixture:
            mixed = self._mixed(self.mixture, ids, nats)
            beside["counts"] = ScoredLine(line, ids, mixed / np.log(2), unknown)
        return ScoredLine(line, ids, nats / np.log(2), unknown, beside)

    def _adapted(self, reading: Adapting, ids: np.ndarray) -> np.ndarray:
        """-log p of a line's tokens as it is now; it adapts to them."""
        if not self.carry_state:
            reading.begin()
        if self.direction == FORWARD:
            return np.concatenate([np.empty(0), *reading.read_on(ids)])
        order = reversal(ids, self.tokenizer.grammar)
        return _put_back(np.concatenate([np.empty(0), *reading.read_on(ids[order])]), order)

    def _mixed(self, mixture: CountMixture, ids: np.ndarray, nats: np.ndarray) -> np.ndarray:
        """-log p of a line's tokens, of which a model says `nats`, by the mixture."""
        grammar, before = self.tokenizer.grammar, self._before
        if self.direction == BACKWARD:
            order = reversal(ids, grammar)
            ids, nats = ids[order], nats[order]
            return _put_back(mixture.nats(nats, ids, grammar.states(ids), before), order)
        return mixture.nats(nats, ids, grammar.states(ids), before)

    def _from_the_end(self, encoded: list[np.ndarray]) -> Iterable[np.ndarray]:
        orders = [reversal(ids, self.tokenizer.grammar) for ids in encoded]
        nats = self._apart([ids[order] for ids, order in zip(encoded, orders, strict=True)])
        return map(_put_back, nats, orders)

    def _apart(self, encoded: list[np.ndarray]) -> Iterable[np.ndarray]:
        # Lines of like length are read side by side.
        order = sorted(range(len(encoded)), key=lambda n: len(encoded[n]))
        ids = np.concatenate([encoded[n] for n in order])
        starts = np.cumsum([0, *(len(encoded[n]) for n in order)])
        streams = streams_of(max(1, len(encoded[order[-1]])))
        nats = np.concatenate([np.empty(0), *self._read(ids, starts[:-1], streams)])
        found = [np.empty(0)] * len(encoded)
        for place, n in enumerate(order):
            found[n] = nats[starts[place] : starts[place + 1]]
        return found

    def _carried(self, encoded: list[np.ndarray]) -> Iterable[np.ndarray]:
        ids = np.concatenate(encoded)
        if len(ids):
            start = np.zeros(1, np.int64)
            nats = np.concatenate(list(self._read(ids, start, STREAMS, self._last_token)))
            self._last_token = int(ids[-1])
        else:
            nats = np.empty(0)
        ends = np.cumsum([len(part) for part in encoded])
        return np.split(nats, ends[:-1])

    def _read(
        self,
        ids: np.ndarray,
        documents: np.ndarray,
        streams: int,
        last_token: int | None = None,
    ) -> Iterator[np.ndarray]:
        pieces: Iterator[Piece] = document_pieces(
            ids, documents, self.tokenizer.boundary_id, self.tokenizer.grammar, LONGEST_PIECE
        )
        if last_token is not None:
            first = next(pieces)
            pieces = iter([replace(first, fresh=False, first_input=last_token), *pieces])
        for _, reading in self._reader.read(ids, pieces, streams):
            yield reading.nats


def _put_back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """What stands at i goes to order[i]."""
    back = np.empty_like(values)
    back[order] = values
    return back
