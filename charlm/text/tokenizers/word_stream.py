"""Word ids to text: the expected gaps put back, spelled items joined from their bytes."""

from collections.abc import Sequence
from typing import NamedTuple

from charlm.text.tokenizers.stream import TokenStream
from charlm.text.tokenizers.word_split import Splitting, space_expected

SILENT = 6  # of a marker: it has no text, and changes nothing


class Shown(NamedTuple):
    """What each of V ids is: its text, and its kind as `word_split` has it, or SILENT."""

    texts: Sequence[str]
    kinds: Sequence[int]
    first_byte: int  # the byte symbols are the 256 ids from here; V where there are none


class WordStream(TokenStream):
    """Ids in one at a time, text out as soon as it is certain.

    The gap before an item is known with the item, that before a spelled one with its first
    character. An empty gap that is written down (a GAP without text) takes the expected one's
    place. Bytes without a marker before them are read as if there were one.
    """

    def __init__(self, shown: Shown, splitting: Splitting, after: str) -> None:
        super().__init__(lambda token: bytes((token - shown.first_byte,)))
        self._texts, self._kinds, self._first_byte = shown
        self._splitting = splitting
        self._last = splitting.last_kind(after)  # the kind of what stands before
        self._spelling = False  # bytes have come, whose characters may be incomplete
        self._begun = False  # a character of the spelled item has come

    def feed(self, token: int) -> str:
        if self._first_byte <= token < self._first_byte + 256:
            self._spelling = True
            return self._spelled(super().feed(token))
        incomplete = self.finish() if self._spelling else ""
        self._begun = False
        kind = self._kinds[token]
        if kind == SILENT:
            return incomplete
        return incomplete + self._placed(kind, self._texts[token])

    def finish(self) -> str:
        """U+FFFD for a character that was left incomplete, else ""."""
        self._spelling = False
        return self._spelled(super().finish())

    def _spelled(self, characters: str) -> str:
        if self._begun or not characters:
            return characters
        self._begun = True
        return self._placed(self._splitting.kind(characters), characters)

    def _placed(self, kind: int, text: str) -> str:
        """`text` after the gap that is expected before it."""
        last, self._last = self._last, kind
        return " " + text if space_expected(last, kind) else text
