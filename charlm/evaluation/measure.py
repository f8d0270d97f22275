"""What a model charges for a whole text, as one stream a document or in windows."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from charlm.evaluation.counted_text import CountedText
from charlm.evaluation.figures import Figures
from charlm.evaluation.pieces import document_pieces, window_pieces
from charlm.evaluation.token_nats import TokenReader, piece_length
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
    about = tokenizer, ids, documents
    return summed(_whole_text(model, *about, check, temperature), *about, counts)[0]


def measure_counted(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    mixtures: Sequence[CountMixture],
    temperature: float = 1.0,
) -> list[Figures]:
    """As `measure`, and where there are mixtures with counts the same of them, in one reading."""
    about = tokenizer, ids, documents
    parts = _whole_text(model, *about, lambda: None, temperature)
    return summed(parts, *about, counts, mixtures)


def summed(
    parts: Iterable[np.ndarray],
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    mixtures: Sequence[CountMixture] = (),
) -> list[Figures]:
    """Of ids (N,) whose nats come in parts: of what a model says, and where there are mixtures of
    it with counts (as of `CountedText.mixed`) of them too."""
    text = CountedText(tokenizer.grammar, tokenizer.boundary_id, ids, documents)
    nats, place = [0.0] * (2 if mixtures else 1), 0
    for part in parts:
        nats[0] += float(part.sum())
        if mixtures:
            nats[1] += float(text.mixed(mixtures, place, part).sum())
        place += len(part)
    unknown = tokenizer.count_unknown(ids)
    return [Figures(each, len(ids), counts, unknown) for each in nats]


def _whole_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    check: Callable[[], None],
    temperature: float,
) -> Iterator[np.ndarray]:
    """-log p of all tokens in order, a piece at a time."""
    reader = TokenReader(model, tokenizer.grammar, check, temperature)
    pieces = document_pieces(
        ids, documents, tokenizer.boundary_id, tokenizer.grammar, piece_length(len(ids))
    )
    for _, reading in reader.read(ids, pieces):
        yield reading.nats


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
    pieces = window_pieces(
        ids,
        documents,
        tokenizer.boundary_id,
        tokenizer.grammar,
        window,
        how_many,
        np.random.default_rng(seed),
    )
    tokens, unknown = len(ids), tokenizer.count_unknown(ids)
    if how_many is not None:
        drawn = list(pieces)
        stretches = [(piece.begin, piece.end) for piece in drawn]
        counts = count_stretches(tokenizer, ids, stretches, direction)
        tokens = sum(map(len, drawn))
        unknown = sum(tokenizer.count_unknown(ids[begin:end]) for begin, end in stretches)
        pieces = iter(drawn)
    return Figures(reader.sum_apart(ids, pieces, window), tokens, counts, unknown)


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
