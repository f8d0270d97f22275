"""From the tokens of a sample to its text: how far it is, what can be shown, when it ends."""

import copy
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from charlm.generation.context import Context
from charlm.generation.settings import GenerationSettings
from charlm.generation.stopping import StopHolder
from charlm.text.tokenizers.base import Tokenizer

FREE = 0  # the grammar's state between units

# What --length cuts inside a spelled unit gets up to so many tokens more to be finished: four do
# for a character, and a word of up to 254 bytes is spelled in these. So many tokens that bring
# no text end a sample whose length is counted in characters.
FINISHING = 256


@dataclass(frozen=True)
class Sample:
    """One finished text, without its prompt.

    `tokens` counts what was chosen, a stop text and what was cut off included;
    `nats_per_token` is the mean of -log p under the model's own distribution over what
    may be written, whatever the filters did, and None where nothing was chosen; `finish` is "stop"
    or "length".
    """

    prompt: str
    text: str
    tokens: int
    nats_per_token: float | None
    finish: str


@dataclass(frozen=True)
class Piece:
    """The next bit of the text for a prompt; the last one of a sample carries its `sample`."""

    text: str
    prompt: str
    sample: Sample | None = None


class TextStream(Protocol):
    """Ids in one at a time, the text that they add out, in the order in which it is written."""

    def feed(self, token: int) -> str: ...

    def finish(self) -> str: ...

    def fork(self) -> Self:
        """A stream of its own that has read the same."""
        ...


class Writing:
    """A text that is written from its beginning, after its prompt: it can be shown as it grows."""

    prompt_follows = False

    def __init__(self, context: Context, settings: GenerationSettings) -> None:
        self._grammar = context.tokenizer.grammar
        self._prompt = context.prompt
        self._length = settings.length
        self._in_characters = settings.length_unit == "characters"
        self._stream = self._open_stream(context)
        self.openings = self._first_tokens(context)
        self._holder = StopHolder([self._in_order(stop) for stop in settings.stop])
        self._utf8 = bytearray()  # the text: a list of its pieces would take ten times as much
        self._characters = 0  # stop texts among them
        self._silent = 0  # tokens since the last that brought text
        self.tokens = 0
        self.spelling = FREE  # the grammar's state

    @classmethod
    def prompt_ids(cls, tokenizer: Tokenizer, prompt: str) -> list[int]:
        """The prompt as the model reads it. DataError: a prompt that no UTF-8 text can hold."""
        return [int(token) for token in tokenizer.encode_prompt(prompt)]

    def _open_stream(self, context: Context) -> TextStream:
        return context.tokenizer.stream(context.prompt)

    def _first_tokens(self, context: Context) -> npt.NDArray[np.bool_] | None:
        return context.tokenizer.openings(context.prompt)

    def _in_order(self, text: str) -> str:
        """A text in the order in which its characters are written."""
        return text

    @property
    def goes_on(self) -> bool:
        """Whether it needs another token."""
        if self._holder.stopped:
            return False
        if self._in_characters:
            return self._characters < self._length and self._silent < FINISHING
        return self.tokens < self._length + (FINISHING if self.spelling != FREE else 0)

    @property
    def wanted(self) -> int:
        """How many tokens more it may need at least, one or more while it goes on."""
        written = self._characters if self._in_characters else self.tokens
        return max(1, self._length - written)

    @property
    def drawable(self) -> npt.NDArray[np.bool_]:
        """(V,) the tokens that may come next."""
        found: npt.NDArray[np.bool_] = self._grammar.drawable[self.spelling]
        return found if self.tokens or self.openings is None else found & self.openings

    def feed(self, token: int) -> str:
        """Add a token; the text that can be shown now."""
        self.tokens += 1
        self.spelling = int(self._grammar.next_state[self.spelling, token])
        return self._let_through(self._stream.feed(token))

    def finish(self) -> str:
        """The text that was held back, as nothing more comes."""
        # A stream in the middle of a character would answer with U+FFFD.
        tail = self._let_through(self._stream.finish()) if self.spelling == FREE else ""
        held = self._holder.finish()
        self._utf8 += held.encode()
        return tail + held

    @property
    def text(self) -> str:
        """What was let through, in the order in which it was written."""
        return self._utf8.decode()

    def sample(self, nats: float) -> Sample:
        """What was written, once it is finished; `nats` is the cost of all its tokens."""
        return Sample(
            prompt=self._prompt,
            text=self._in_order(self.text),
            tokens=self.tokens,
            nats_per_token=nats / self.tokens if self.tokens else None,
            finish="stop" if self._holder.stopped else "length",
        )

    def fork(self) -> Self:
        """A text of its own that has the same beginning."""
        twin = copy.copy(self)
        twin._stream = self._stream.fork()
        twin._holder = copy.copy(self._holder)
        twin._utf8 = self._utf8.copy()
        return twin

    def _let_through(self, text: str) -> str:
        self._silent = 0 if text else self._silent + 1
        if self._in_characters:
            text = text[: self._length - self._characters]
        self._characters += len(text)
        text = self._holder.feed(text)
        self._utf8 += text.encode()
        return text
