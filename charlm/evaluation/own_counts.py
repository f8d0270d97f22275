"""Counts of n-grams of a run's own training text, to stand beside the run."""

import time
from collections.abc import Callable

import numpy as np

from charlm.adaptation import CountSettings
from charlm.evaluation.counted_text import CountedText
from charlm.evaluation.own_text import own_part
from charlm.evaluation.pieces import document_pieces
from charlm.evaluation.token_nats import TokenReader, piece_length
from charlm.model.count_mixture import CountMixture
from charlm.model.kneser_ney import KneserNey
from charlm.model.language_model import LanguageModel
from charlm.runs.export import StoredModel
from charlm.settings import AUTO
from charlm.text.part_files import Part
from charlm.text.passages import stretches
from charlm.text.tokenizers.base import Grammar, Tokenizer

MOST_COUNTED = 1 << 23  # tokens: some hundred bytes of memory for each
MOST_WEIGHED = 1 << 15  # tokens, which the network has to read
_ORDERS = {"char": 12, "byte": 12, "bpe": 7, "unigram": 7, "word": 5}  # scripts/LOG.md


def own_mixture(
    stored: StoredModel,
    tokenizer: Tokenizer,
    direction: str,
    model: LanguageModel,
    settings: CountSettings,
    say: Callable[[str], None],
) -> CountMixture:
    """The counts of what `model` was trained on, with weights by its validation text.

    DataError: one of these texts is not there.
    """
    train = own_part(stored, direction, "train", "to count")
    valid = own_part(stored, direction, "valid", "on which to choose the weights of counts")
    grammar, boundary_id = tokenizer.grammar, tokenizer.boundary_id
    begin = time.monotonic()
    ids, documents = _some_of(train, MOST_COUNTED, grammar)
    order = order_of(settings, tokenizer)
    about = ids, grammar.states(ids), documents, grammar.legal, boundary_id
    counts = KneserNey.count(*about, order)
    some = "" if len(ids) == len(train.ids) else f" of {len(train.ids):,}, spread over the text"
    say(
        f"Counts: n-grams of up to {counts.order} of {len(ids):,} tokens{some} "
        f"({time.monotonic() - begin:.1f} s); weights by {min(len(valid.ids), MOST_WEIGHED):,} "
        "tokens of the run's own valid text."
    )
    ids, documents = _some_of(valid, MOST_WEIGHED, grammar)
    reader = TokenReader(model, grammar)
    pieces = document_pieces(ids, documents, boundary_id, grammar, piece_length(len(ids)))
    nats = np.concatenate([reading.nats for _, reading in reader.read(ids, pieces)])
    spans = CountedText(grammar, boundary_id, ids, documents).spans(0, len(ids))
    chances, kinds = zip(*(counts.chances(*span) for span in spans), strict=True)
    return CountMixture.learned(
        counts, nats, np.concatenate(chances, axis=1), np.concatenate(kinds)
    )


def order_of(settings: CountSettings, tokenizer: Tokenizer) -> int:
    """The longest n-grams: what is asked for, or what is usual with such tokens."""
    if settings.counts_order != AUTO:
        return settings.counts_order
    return _ORDERS[tokenizer.kind]


def _some_of(part: Part, most: int, grammar: Grammar) -> tuple[np.ndarray, np.ndarray]:
    """The ids and the documents of a part, or of about `most` of its tokens in stretches all over
    it: what is left of a document then begins one."""
    spans = stretches(len(part.ids), most)
    if len(spans) == 1:
        return np.asarray(part.ids), part.documents
    ids, documents, total = [], [], 0
    for begin, end in spans:
        # Whole characters: a document begins and ends in the free state.
        states = grammar.states(part.ids[begin:end], grammar.state_before(part.ids, begin))
        free = np.flatnonzero(states == 0)
        begin, end = begin + int(free[0]), begin + int(free[-1])
        inside = part.documents[(part.documents > begin) & (part.documents < end)]
        documents += [total, *(inside - begin + total)]
        ids.append(part.ids[begin:end])
        total += end - begin
    return np.concatenate(ids), np.array(documents, np.int64)
