"""Whole texts as a classifier reads them: from the empty state, the boundary token first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.text.direction import in_reading_order
from charlm.text.part_files import Part
from charlm.text.tokenizers.base import Tokenizer


class TextIds:
    """Texts by their numbers, each as every encoder reads it.

    At most `max_length` tokens of a text, from its beginning. directions: of the encoders.
    """

    def __init__(
        self,
        ids: Sequence[npt.NDArray[Any]],
        tokenizer: Tokenizer,
        max_length: int,
        directions: Sequence[str],
    ) -> None:
        self._ids, self._tokenizer = ids, tokenizer
        self._most, self._directions = max_length, directions
        self.lengths = np.array([1 + min(len(text), max_length) for text in ids], np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def some(self, most: int, draws: np.random.Generator) -> "TextIds":
        """These texts or, where they are more, `most` of them drawn without putting back."""
        numbers = np.arange(len(self))
        if len(self) > most:
            numbers = np.sort(draws.choice(len(self), most, replace=False))
        ids = [self._ids[number] for number in numbers.tolist()]
        return TextIds(ids, self._tokenizer, self._most, self._directions)

    def read(self, number: int, encoder: int) -> npt.NDArray[np.int64]:
        """The boundary token and text `number`, in the order of that encoder."""
        ids = self._ids[number][: self._most]
        grammar, direction = self._tokenizer.grammar, self._directions[encoder]
        found = np.empty(len(ids) + 1, np.int64)
        found[0] = self._tokenizer.boundary_id
        found[1:] = in_reading_order(ids, grammar, direction)
        return found


def documents_of(part: Part) -> list[npt.NDArray[Any]]:
    """The ids of each document of a part."""
    return np.split(part.ids, part.documents[1:])
