"""Counts of n-grams of a run's own training text, to stand beside the run."""

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

Say = Callable[[str], None]

# N-grams of all lengths: 25 bytes of memory for each while they are kept; while they are counted,
# 80 for each token besides, which is why there are never more tokens than of order 5.
MOST_COUNTED = 100_000_000
MOST_WEIGHED = 1 << 15  # tokens, which the network has to read
_COLD = 256  # tokens until a state that begins in the middle of a text is as good as any
# What longer ones give, and what they cost, is in scripts/LOG.md, "Counts beside a network".
_ORDERS = {"char": 12, "byte": 12, "word": 5}
_OTHERS_ORDER = 7  # of pieces


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
        say: Say,
    ) -> None:
        self.settings, self._tokenizer = settings, tokenizer
        purposes = {"train": "to count", "valid": "on which to choose the weights of counts"}
        self._train, self._valid = own_parts(stored, direction, purposes)
        self._mixtures: dict[torch.dtype, CountMixture] = {}
        order, grammar, train = order_of(settings, tokenizer), tokenizer.grammar, self._train
        most = MOST_COUNTED // max(order, 5)
        ids, documents, _ = some_of(train.ids, train.documents, most, grammar)
        about = ids, grammar.states(ids), documents, grammar.legal, tokenizer.boundary_id
        some = "" if len(ids) == len(train.ids) else f" of {len(train.ids):,}, all over the text"
        say(f"Counting n-grams of up to {order} of {len(ids):,} tokens{some}.")
        self.counts = KneserNey.count(*about, order)

    def mixture(self, model: LanguageModel, say: Say) -> CountMixture:
        """Of `model`, which was trained on the same text, and the counts."""
        if model.precision not in self._mixtures:
            valid = self._valid
            self._mixtures[model.precision] = self._weighed(model, valid.ids, valid.documents, say)
        return self._mixtures[model.precision]

    def mixtures(self, model: LanguageModel, measured: np.ndarray, say: Say) -> list[CountMixture]:
        """Those for ids `measured` (N,): one, or, where they are what weights are chosen on, one
        for each half of them, with the weights of the other (but not of a single character)."""
        valid = self._valid
        if _holds(measured, self._train.ids):
            say("The text that was counted is in this one: its figures say nothing of new text.")
        if not np.array_equal(valid.ids, measured):
            if _holds(measured, valid.ids):
                say("The text that weights are chosen on is in this one, to which they fit best.")
            return [self.mixture(model, say)]
        middle, about = len(measured) // 2, (valid.ids, valid.documents)
        spans = (middle, len(measured)), (0, middle)
        halves = [_piece(*about, *span, self._grammar) for span in spans]
        if not all(len(ids) for ids, _ in halves):
            return [self.mixture(model, say)]
        say("This is the text that weights are chosen on: each half has those of the other.")
        return [self._weighed(model, *half, say) for half in halves]

    @property
    def _grammar(self) -> Grammar:
        return self._tokenizer.grammar

    def _weighed(
        self, model: LanguageModel, ids: np.ndarray, documents: np.ndarray, say: Say
    ) -> CountMixture:
        grammar, boundary_id = self._grammar, self._tokenizer.boundary_id
        ids, documents, cuts = some_of(ids, documents, MOST_WEIGHED, grammar)
        warm = np.ones(len(ids), np.bool_)
        for cut in cuts:
            warm[cut : cut + _COLD] = False
        say(f"Their weights are by {warm.sum():,} tokens of the run's own valid text.")
        reader = TokenReader(model, grammar)
        pieces = document_pieces(ids, documents, boundary_id, grammar, piece_length(len(ids)))
        nats = np.concatenate([reading.nats for _, reading in reader.read(ids, pieces)])
        spans = CountedText(grammar, boundary_id, ids, documents).spans(0, len(ids))
        found, of_kinds = zip(*(self.counts.chances(*span) for span in spans), strict=True)
        chances, kinds = np.concatenate(found, axis=1), np.concatenate(of_kinds)
        return CountMixture.learned(self.counts, nats[warm], chances[:, warm], kinds[warm])


def order_of(settings: CountSettings, tokenizer: Tokenizer) -> int:
    """The longest n-grams: what is asked for, or what is usual with such tokens."""
    if settings.counts_order != AUTO:
        return settings.counts_order
    return _ORDERS.get(tokenizer.kind, _OTHERS_ORDER)


def some_of(
    ids: np.ndarray, documents: np.ndarray, most: int, grammar: Grammar
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids (N,) and where their documents begin; or of about `most` of them, in stretches all over
    the text: what is left of a document then begins one. Last, which of the documents are such."""
    spans = stretches(len(ids), most)
    if len(spans) == 1:
        return ids, documents, documents[:0]
    pieces = [_piece(ids, documents, *span, grammar) for span in spans]
    begins = np.cumsum([0, *(len(found) for found, _ in pieces)])
    moved = [inside + begin for (_, inside), begin in zip(pieces, begins, strict=False)]
    whole = np.concatenate([found for found, _ in pieces]), np.concatenate(moved)
    return *whole, begins[:-1][~np.isin([begin for begin, _ in spans], documents)]


def _holds(measured: np.ndarray, own: np.ndarray) -> bool:
    """Whether what is measured begins or ends with `own`."""
    return any(np.array_equal(part, own) for part in (measured[: len(own)], measured[-len(own) :]))


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
