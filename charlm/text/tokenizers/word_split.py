"""Cutting lines into items and the gaps between them, and which gaps go without saying.

A line is items with gaps: runs of whitespace, or nothing where two items touch. Between two
items one gap is expected, a single space or nothing, by the characters that they begin with.
At both ends of a line nothing is expected. Only a gap that is not the expected one need be
written down, so that most tokens are words.

whitespace  an item is a run of what is not whitespace (as str.split has it); a space is
            expected between any two.
unicode     an item is a word (letters, marks and digits after a first letter, apostrophes
            inside), a number, or a punctuation mark or symbol (a run of the same one, of the
            usual ones); in scripts that are written without spaces, a letter with its marks.
            Nothing is expected before closing punctuation, after opening punctuation and
            currency, and on both sides of hyphens, slashes, controls, East Asian punctuation
            and letters of scripts without spaces. Word borders are those of Unicode Standard
            Annex 29, but that it leaves such scripts to dictionaries, and does not cut 10mg.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import regex

from charlm.text.tokenizers.word_pieces import KnownPieces

# What a piece is, by its first character. An item is the sum of the sides on which nothing is
# expected: 0 to 3.
CLOSES: Final = 1  # nothing before it
OPENS: Final = 2  # nothing after it
GAP: Final = 4
BREAK: Final = 5

_UNSPACED = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]&&[\p{L}\p{N}]]"  # noqa: E501
_LETTER = rf"[\p{{L}}--{_UNSPACED}]"
# Zero-width joiners and the soft hyphen stand inside words.
_INNER = rf"[[\p{{L}}\p{{M}}\p{{N}}_\u200c\u200d\u00ad]--{_UNSPACED}]"
_DIGIT = rf"[\p{{N}}--{_UNSPACED}]"
_WHITESPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace() and code != 0x0A)
_UNICODE_ITEMS = (
    r"\n",
    rf"[{_WHITESPACE}]+",
    rf"{_LETTER}{_INNER}*+(?:['’]{_LETTER}{_INNER}*+)*+",
    rf"{_UNSPACED}\p{{M}}*+",
    rf"{_DIGIT}++(?:[.,]{_DIGIT}++)*+",
    *(regex.escape(mark) + "++" for mark in ".-=*#_~!?…"),
    r"\X",  # anything else, with what combines with it
)
_LOOSE_PUNCTUATION = frozenset("\"'&*§¶†‡※")
_OPENING_PUNCTUATION = frozenset("#@¡¿")
_TIGHT_PUNCTUATION = frozenset("/\\·‧・")


@dataclass(frozen=True)
class Pieces:
    """A text in N pieces that join to it: items, gaps and line breaks."""

    known: KnownPieces
    numbers: npt.NDArray[np.intp]  # (N,) among the known
    kinds: npt.NDArray[np.uint8]  # (N,)
    written: npt.NDArray[np.bool_]  # (N,) False for a gap that is the expected one
    joined: npt.NDArray[np.bool_]  # (N,) an item that touches one where a space is expected

    @property
    def texts(self) -> list[str]:
        """The N pieces themselves."""
        return [self.known.texts[number] for number in self.numbers.tolist()]


class Splitting:
    """Cuts texts by "unicode" or "whitespace"."""

    def __init__(self, name: str) -> None:
        kind_of, self._cut = _SPLITTINGS[name]()
        self._kind_of = cache(kind_of)
        self._known = KnownPieces(self._cut, self.kind)

    def kind(self, piece: str) -> int:
        """GAP, BREAK, or for an item the sides on which nothing is expected."""
        return self._kind_of(piece[0])

    def last_kind(self, text: str) -> int:
        """The kind of the last piece of `text`; BREAK where there is none."""
        pieces = self._cut(text[text.rfind("\n") + 1 :])
        return self.kind(pieces[-1]) if pieces else BREAK

    def split(self, text: str, continues: bool = False) -> Pieces:
        """The pieces of `text`; `continues`: it goes on within a line.

        UnicodeEncodeError: a lone surrogate.
        """
        text.encode()
        if self._known.full:
            self._known = KnownPieces(self._cut, self.kind)
        numbers = self._known.of(text)
        kinds = self._known.kinds[numbers]
        item = kinds < GAP
        # Beyond both ends there is no item.
        before = np.concatenate([[GAP], kinds])[: len(kinds)]
        after = np.concatenate([kinds, [GAP]])[1:]
        joined = item & _space_expected(before, kinds)
        joined[:1] = continues & item[:1]
        space = numbers == self._known.number(" ")
        written = ~(space & _space_expected(before, after))
        return Pieces(self._known, numbers, kinds, written, joined)


def space_expected(before: int, after: int) -> bool:
    """Whether a space is expected between items of these kinds."""
    return before < GAP and after < GAP and not before & OPENS and not after & CLOSES


def _space_expected(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = _EXPECTED[before, after]
    return found


_EXPECTED: Final = np.array([[space_expected(a, b) for b in range(BREAK + 1)] for a in range(6)])

_Cut = Callable[[str], list[Any]]


def _whitespace() -> tuple[Callable[[str], int], _Cut]:
    def kind_of(character: str) -> int:
        if character == "\n":
            return BREAK
        return GAP if character.isspace() else 0

    return kind_of, re.compile(r"\S+|\n|[^\S\n]+").findall


def _unicode() -> tuple[Callable[[str], int], _Cut]:
    pattern = regex.compile("|".join(_UNICODE_ITEMS), regex.V1)
    unspaced = regex.compile(_UNSPACED, regex.V1)

    def kind_of(character: str) -> int:
        if character == "\n":
            return BREAK
        if character.isspace():
            return GAP
        return CLOSES | OPENS if unspaced.match(character) else _sides(character)

    return kind_of, pattern.findall


def _sides(character: str) -> int:
    """The sides of `character` on which nothing is expected."""
    category = unicodedata.category(character)
    if category[0] == "P" and _is_wide(character):
        return CLOSES | OPENS
    if category in ("Pe", "Pf"):
        return CLOSES
    if category in ("Ps", "Pi", "Sc"):
        return OPENS
    if category == "Po":
        if character in _LOOSE_PUNCTUATION:
            return 0
        if character in _OPENING_PUNCTUATION:
            return OPENS
        return CLOSES | OPENS if character in _TIGHT_PUNCTUATION else CLOSES
    # Letters, numbers and symbols are loose; hyphens, marks of their own and controls tight.
    return 0 if category[0] in "LNS" else CLOSES | OPENS


def _is_wide(character: str) -> bool:
    return "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef"


_SPLITTINGS: Final = {"unicode": _unicode, "whitespace": _whitespace}
