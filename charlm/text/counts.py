"""How much text there is: the denominators that tokenizers of every kind share."""

from collections.abc import Iterable

import msgspec
import numpy as np

from charlm.text.tokenizers.utf8 import code_points, utf8_length

# str.isspace as a table. U+3000 is the last space there is; all beyond it fall on its
# neighbour's entry.
_LAST_SPACE = 0x3000
_IS_SPACE = np.array([chr(code).isspace() for code in range(_LAST_SPACE + 2)])


class TextCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """len(s), len(s.encode()), sum of len(d.split()), s.count("\\n") of a text s of documents d."""

    characters: int = 0
    bytes: int = 0
    words: int = 0
    line_breaks: int = 0

    def __add__(self, other: "TextCounts") -> "TextCounts":
        return TextCounts(
            self.characters + other.characters,
            self.bytes + other.bytes,
            self.words + other.words,
            self.line_breaks + other.line_breaks,
        )


class TextCounter:
    """Counts a text that comes in blocks; a word may go on from one block to the next."""

    def __init__(self) -> None:
        self.counts = TextCounts()
        self._inside_word = False

    def add(self, block: str) -> None:
        """Count `block`, which goes on where the last one ended."""
        if not block:
            return
        codes = code_points(block)
        in_word = ~_IS_SPACE[np.minimum(codes, _LAST_SPACE + 1)]
        starts = np.count_nonzero(in_word[1:] & ~in_word[:-1])
        starts += bool(in_word[0]) and not self._inside_word
        self._inside_word = bool(in_word[-1])
        size = int(utf8_length(codes).sum())
        self.counts += TextCounts(len(block), size, int(starts), block.count("\n"))

    def end_document(self) -> None:
        """What comes next is another document: no word reaches across."""
        self._inside_word = False


def count_text(documents: Iterable[str]) -> TextCounts:
    """The counts of whole documents."""
    counter = TextCounter()
    for document in documents:
        counter.add(document)
        counter.end_document()
    return counter.counts
