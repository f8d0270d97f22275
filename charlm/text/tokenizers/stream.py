"""Ids to text, one at a time."""

import codecs
import copy
from collections.abc import Callable
from typing import Self


class TokenStream:
    """Ids in one at a time, text out as soon as its characters are complete."""

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = _new_decoder()

    def feed(self, token: int) -> str:
        """The text that `token` completes; "" while a character is incomplete."""
        return self._decoder.decode(self._token_bytes(token))

    def finish(self) -> str:
        """U+FFFD for a character that was left incomplete, else ""."""
        return self._decoder.decode(b"", True)

    def fork(self) -> Self:
        """A stream of its own that has read the same."""
        twin = copy.copy(self)
        twin._decoder = _new_decoder()
        twin._decoder.setstate(self._decoder.getstate())
        return twin


class AfterSpace(TokenStream):
    """Leaves out the space that a stream begins with, as the text before it has it already."""

    def __init__(self, stream: TokenStream) -> None:
        self._stream = stream
        self._begun = False

    def feed(self, token: int) -> str:
        return self._without(self._stream.feed(token))

    def finish(self) -> str:
        return self._without(self._stream.finish())

    def fork(self) -> Self:
        twin = copy.copy(self)
        twin._stream = self._stream.fork()
        return twin

    def _without(self, text: str) -> str:
        if self._begun or not text:
            return text
        self._begun = True
        return text.removeprefix(" ")


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")
