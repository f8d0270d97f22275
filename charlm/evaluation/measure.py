"""What a model charges for a whole text, as one stream a document or in windows."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from charlm.evaluation.counted_text import CountedText
from charlm.evaluation.figures import Figures
from charlm.evaluation.pieces import Piece, document_pieces, window_pieces
from charlm.evaluation.token_nats import Reading, TokenReader, piece_length
from charlm.model.count_mixture import CountMixture
from charlm.model.language_model import LanguageModel
from charlm.text.counts import TextCounts, count_text
from charlm.text.direction import FORWARD, in_reading_order
from charlm.text.tokenizers.base import Tokenizer


def measure(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    check: Callable[[], None] = lambda: None,
    temperature: float = 1.0,
) -> Figures:
    """Every token of ids (N,) once, the state carried over each document.

    `documents` holds the offset of each document's first token, `counts` what the text has of
    characters, bytes, words and line breaks; the logits are divided by `temperature`.
    """
    found = _whole_text(model, tokenizer, ids, documents, check, temperature)
    nats = sum(float(reading.nats.sum()) for _, reading in found)
    return Figures(nats, len(ids), counts, tokenizer.count_unknown(ids))


def measure_counted(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    mixtures: Sequence[CountMixture],
    check: Callable[[], None] = lambda: None,
) -> tuple[Figures, Figures]:
    """As `measure`, and the same of the mixture with counts, in one reading; mixtures: as of
    `CountedText.mixed`."""
    text = CountedText(tokenizer.grammar, tokenizer.boundary_id, ids, documents)
    static = mixed = 0.0
    for piece, reading in _whole_text(model, tokenizer, ids, documents, check):
        static += float(reading.nats.sum())
        mixed += float(text.mixed(mixtures, piece.begin, reading.nats).sum())
    about = len(ids), counts, tokenizer.count_unknown(ids)
    return Figures(static, *about), Figures(mixed, *about)


def _whole_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    check: Callable[[], None],
    temperature: float = 1.0,
) -> Iterator[tuple[Piece, Reading]]:
    reader = TokenReader(model, tokenizer.grammar, check, temperature)
    pieces = document_pieces(
        ids, documents, tokenizer.boundary_id, tokenizer.grammar, piece_length(len(ids))
    )
    return reader.read(ids, pieces)


def measure_windows(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    window: int,
    how_many: int | None,
    seed: int,
    direction: str = FORWARD,
    check: Callable[[], None] = lambda: None,
    temperature: float = 1.0,
) -> Figures:
    """Windows of `window` tokens, each from the empty state: all in order, or random ones.

    Of random ones the counts are those of the text in them; `direction` is that of ids.
    """
    reader = TokenReader(model, tokenizer.grammar, check, temperature)
    pieces = list(
        window_pieces(
            ids,
            documents,
            tokenizer.boundary_id,
            tokenizer.grammar,
            window,
            how_many,
            np.random.default_rng(seed),
        )
    )
    if how_many is not None:
        stretches = [(piece.begin, piece.end) for piece in pieces]
        counts = count_stretches(tokenizer, ids, stretches, direction)
    tokens = sum(len(piece) for piece in pieces)
    unknown = sum(tokenizer.count_unknown(ids[piece.begin : piece.end]) for piece in pieces)
    return Figures(reader.sum_apart(ids, pieces), tokens, counts, unknown)


def count_stretches(
    tokenizer: Tokenizer,
    ids: np.ndarray,
    stretches: Iterable[tuple[int, int]],
    direction: str,
) -> TextCounts:
    """What the text of ids[begin:end] has of characters and words, each a document of its own.

    Of a tokenizer that knows unknown words, no characters and bytes: the text is not in the ids.
    """
    counts = count_text(
        tokenizer.decode(in_reading_order(ids[begin:end], tokenizer.grammar, direction))
        for begin, end in stretches
    )
    if tokenizer.unknown_id is not None:
        return TextCounts(words=counts.words, line_breaks=counts.line_breaks)
    return counts
