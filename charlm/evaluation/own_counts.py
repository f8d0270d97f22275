"""Counts of n-grams of a run's own training text, to stand beside the run."""

import time
from collections.abc import Callable

import numpy as np
import torch

from charlm.adaptation import CountSettings
from charlm.evaluation.counted_text import CountedText
from charlm.evaluation.own_text import own_parts
from charlm.evaluation.pieces import document_pieces
from charlm.evaluation.token_nats import TokenReader, piece_length
from charlm.model.count_mixture import CountMixture
from charlm.model.kneser_ney import KneserNey
from charlm.model.language_model import LanguageModel
from charlm.runs.export import StoredModel
from charlm.settings import AUTO
from charlm.text.passages import stretches
from charlm.text.tokenizers.base import Grammar, Tokenizer

MOST_COUNTED = 100_000_000  # n-grams of all lengths: up to 25 bytes of memory for each
MOST_WEIGHED = 1 << 15  # tokens, which the network has to read
# As long as pays (scripts/LOG.md, "Counts beside a network").
_ORDERS = {"char": 12, "byte": 12, "bpe": 7, "unigram": 7, "word": 5}


class OwnCounts:
    """The counts of what a run was trained on, and weights by its validation text.

    DataError: one of these texts is not there.
    """

    def __init__(
        self,
        stored: StoredModel,
        tokenizer: Tokenizer,
        direction: str,
        settings: CountSettings,
        say: Callable[[str], None],
    ) -> None:
        self.settings, self._tokenizer, self._say = settings, tokenizer, say
        purposes = {"train": "to count", "valid": "on which to choose the weights of counts"}
        train, self._valid = own_parts(stored, direction, purposes)
        self._mixtures: dict[torch.dtype, CountMixture] = {}
        begin, order = time.monotonic(), order_of(settings, tokenizer)
        grammar = tokenizer.grammar
        ids, documents = some_of(train.ids, train.documents, MOST_COUNTED // order, grammar)
        about = ids, grammar.states(ids), documents, grammar.legal, tokenizer.boundary_id
        self.counts = KneserNey.count(*about, order)
        some = "" if len(ids) == len(train.ids) else f" of {len(train.ids):,}, all over the text"
        seconds = time.monotonic() - begin
        say(f"Counts: n-grams of up to {order} of {len(ids):,} tokens{some} ({seconds:.1f} s).")

    def mixture(self, model: LanguageModel) -> CountMixture:
        """Of `model`, which was trained on the same text, and the counts."""
        if model.precision not in self._mixtures:
            valid = self._valid
            self._mixtures[model.precision] = self._weighed(model, valid.ids, valid.documents)
        return self._mixtures[model.precision]

    def mixtures(self, model: LanguageModel, measured: np.ndarray) -> list[CountMixture]:
        """Those for ids `measured` (N,): one, or, where they are what weights are chosen on, one
        for each half of them, with the weights of the other (but not of a single character)."""
        valid = self._valid
        if not np.array_equal(valid.ids, measured):
            return [self.mixture(model)]
        middle, about = len(measured) // 2, (valid.ids, valid.documents)
        spans = (middle, len(measured)), (0, middle)
        halves = [_piece(*about, *span, self._grammar) for span in spans]
        if not all(len(ids) for ids, _ in halves):
            return [self.mixture(model)]
        self._say("This is the text that weights are chosen on: each half has those of the other.")
        return [self._weighed(model, *half) for half in halves]

    @property
    def _grammar(self) -> Grammar:
        return self._tokenizer.grammar

    def _weighed(
        self, model: LanguageModel, ids: np.ndarray, documents: np.ndarray
    ) -> CountMixture:
        grammar, boundary_id = self._grammar, self._tokenizer.boundary_id
        ids, documents = some_of(ids, documents, MOST_WEIGHED, grammar)
        self._say(f"Their weights are by {len(ids):,} tokens of the run's own valid text.")
        reader = TokenReader(model, grammar)
        pieces = document_pieces(ids, documents, boundary_id, grammar, piece_length(len(ids)))
        nats = np.concatenate([reading.nats for _, reading in reader.read(ids, pieces)])
        spans = CountedText(grammar, boundary_id, ids, documents).spans(0, len(ids))
        chances, kinds = zip(*(self.counts.chances(*span) for span in spans), strict=True)
        found = np.concatenate(chances, axis=1), np.concatenate(kinds)
        return CountMixture.learned(self.counts, nats, *found)


def order_of(settings: CountSettings, tokenizer: Tokenizer) -> int:
    """The longest n-grams: what is asked for, or what is usual with such tokens."""
    if settings.counts_order != AUTO:
        return settings.counts_order
    return _ORDERS[tokenizer.kind]


def some_of(
    ids: np.ndarray, documents: np.ndarray, most: int, grammar: Grammar
) -> tuple[np.ndarray, np.ndarray]:
    """ids (N,) and where their documents begin; or of about `most` of them, in stretches all over
    the text: what is left of a document then begins one."""
    spans = stretches(len(ids), most)
    if len(spans) == 1:
        return ids, documents
    pieces = [_piece(ids, documents, *span, grammar) for span in spans]
    begins = np.cumsum([0, *(len(found) for found, _ in pieces)])
    moved = [inside + begin for (_, inside), begin in zip(pieces, begins, strict=False)]
    return np.concatenate([found for found, _ in pieces]), np.concatenate(moved)


def _piece(
    ids: np.ndarray, documents: np.ndarray, begin: int, end: int, grammar: Grammar
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens begin ... end-1, without what is left of a character at either end."""
    states = grammar.states(ids[begin : end + 1], grammar.state_before(ids, begin))
    free = np.flatnonzero(states == 0)
    if not len(free):
        return ids[:0], documents[:0]
    begin, end = begin + int(free[0]), end if end == len(ids) else begin + int(free[-1])
    inside = documents[(documents > begin) & (documents < end)] - begin
    return ids[begin:end], np.array([0, *inside], np.int64)
