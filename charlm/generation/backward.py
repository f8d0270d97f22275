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
        return self._in_order("".join(self._pieces))


class _BeforePrompt:
    """The text of each whole unit and its line, less the text that the line had without it.

    The line that is written begins with the prompt's first line, as a token's text may hang on
    the one after it; never on another line's. A unit that is never finished has no text.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._line = _reversed(tokenizer, _last_line(prompt, tokenizer.boundary_id))
        self._unit: list[int] = []
        self._state = FREE

    def feed(self, token: int) -> str:
        self._unit.append(token)
        self._state = int(self._tokenizer.grammar.next_state[self._state, token])
        if self._state != FREE:
            return ""
        decode = self._tokenizer.decode
        before = len(decode(self._line))
        line = self._unit + self._line
        text = decode(line)
        self._line = [] if self._unit == [self._tokenizer.boundary_id] else line
        self._unit = []
        return text[: max(0, len(text) - before)][::-1]

    def finish(self) -> str:
        return ""

    def fork(self) -> "_BeforePrompt":
        twin = copy.copy(self)
        twin._unit = self._unit.copy()  # `_line` is replaced, never changed
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
