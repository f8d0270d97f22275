"""A text that is written from its end, by a model that reads each document from its end.

The prompt is what follows the text. The model has read a boundary token and the prompt's units
in reverse order; each unit that it writes stands before all that is there. So the text is known
from its last character to its first, and everything that counts or looks for characters in the
order of writing (`writing.Writing`) does so on mirrored text.
"""

import copy
from collections.abc import Sequence

import numpy as np

from charlm.generation.context import Context
from charlm.generation.writing import FREE, TextStream, Writing
from charlm.text.direction import reversed_units
from charlm.text.tokenizers.base import Tokenizer


class BackwardWriting(Writing):
    """Nothing can be shown until the text is whole, as its first character comes last.

    A stop text is met in reading order too: it and what would stand before it are left out.
    """

    prompt_follows = True

    @classmethod
    def prompt_ids(cls, tokenizer: Tokenizer, prompt: str) -> list[int]:
        """The prompt's units from the last to the first."""
        return _reversed(tokenizer, tokenizer.encode(prompt).tolist())

    def _open_stream(self, context: Context) -> TextStream:
        return _BeforePrompt(context.tokenizer, context.ids)

    def _first_tokens(self, context: Context) -> None:
        return None

    def _in_order(self, text: str) -> str:
        return text[::-1]

    def feed(self, token: int) -> str:
        super().feed(token)
        return ""

    def finish(self) -> str:
        super().finish()
        return self._in_order(self.text)


class _BeforePrompt:
    """The text of each whole unit and the unit after it, less the text that this one has alone.

    A token's text may hang on what stands beside it (the gap between two words), never on
    another line's. A unit that is never finished has no text.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        line = _reversed(tokenizer, _last_line(prompt, tokenizer.boundary_id))
        self._after: list[int] = []  # the unit that follows what is written next
        self._unit: list[int] = []
        self._state = FREE
        for token in line:
            if self._whole(token):
                break
        self._after, self._unit = self._unit, []

    def _whole(self, token: int) -> bool:
        """Add a token to the unit; whether that finishes it."""
        self._unit.append(token)
        self._state = int(self._tokenizer.grammar.next_state[self._state, token])
        return self._state == FREE

    def feed(self, token: int) -> str:
        if not self._whole(token):
            return ""
        decode = self._tokenizer.decode
        alone = len(decode(self._after))
        text = decode(self._unit + self._after)
        self._after = [] if self._unit == [self._tokenizer.boundary_id] else self._unit
        self._unit = []
        return text[: max(0, len(text) - alone)][::-1]

    def finish(self) -> str:
        return ""

    def fork(self) -> "_BeforePrompt":
        twin = copy.copy(self)
        twin._unit = self._unit.copy()  # `_after` is replaced, never changed
        return twin


def _reversed(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    found = reversed_units(np.array(ids, np.intp), tokenizer.grammar)
    return [int(token) for token in found]


def _last_line(ids: Sequence[int], boundary_id: int) -> Sequence[int]:
    """What stands after the last line break."""
    for place in range(len(ids), 0, -1):
        if ids[place - 1] == boundary_id:
            return ids[place:]
    return ids
