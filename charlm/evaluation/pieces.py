"""How a text is cut for measuring: pieces of documents, and where each one starts from.

A document is measured as one stream, its state carried from the first token to the last.
To measure it side by side all the same, it is cut into pieces whose starting states are
guessed and then made true (`token_nats`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from charlm.text.tokenizers.base import Grammar


@dataclass(frozen=True)
class Piece:
    """Tokens begin ... end-1 of a text.

    `fresh`: it starts from the empty state; otherwise from the state its predecessor, the
    piece before it in order, ends in. `first_input` is what stands before its first token.
    """

    begin: int
    end: int
    fresh: bool
    first_input: int
    grammar_state: int

    def __len__(self) -> int:
        return self.end - self.begin


def document_pieces(
    ids: np.ndarray, documents: np.ndarray, boundary_id: int, grammar: Grammar, piece_length: int
) -> Iterator[Piece]:
    """Whole documents in order, cut into pieces of `piece_length` tokens."""
    ends = [*documents[1:].tolist(), len(ids)]
    for start, end in zip(documents.tolist(), ends, strict=True):
        for begin in range(start, end, piece_length):
            fresh = begin == start
            yield Piece(
                begin,
                min(begin + piece_length, end),
                fresh,
                boundary_id if fresh else int(ids[begin - 1]),
                0 if fresh else grammar.state_before(ids, begin),
            )


def window_pieces(
    ids: np.ndarray,
    documents: np.ndarray,
    boundary_id: int,
    grammar: Grammar,
    window: int,
    count: int | None,
    generator: np.random.Generator,
) -> Iterator[Piece]:
    """Windows of `window` tokens, each from the empty state with the true token before it.

    Every window of each document in order (its tail is a shorter one), or `count` random ones,
    of whole characters, which end where their document does.
    """
    ends = np.append(documents[1:], len(ids))
    if count is None:
        begins: Iterable[int] = (
            begin
            for start, end in zip(documents.tolist(), ends.tolist(), strict=True)
            for begin in range(start, end, window)
        )
    else:
        begins = generator.integers(0, max(1, len(ids) - window + 1), count).tolist()
    for begin in begins:
        document = np.searchsorted(documents, begin, side="right") - 1
        end = min(begin + window, int(ends[document]))
        if count is not None:
            # Of whole characters: what is counted of its text would not be there in halves.
            while grammar.state_before(ids, begin):
                begin -= 1
            while end < len(ids) and grammar.state_before(ids, end):
                end += 1
        yield Piece(
            begin,
            end,
            True,
            boundary_id if begin == documents[document] else int(ids[begin - 1]),
            grammar.state_before(ids, begin),
        )
