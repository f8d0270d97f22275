"""Character tokens, with rare characters spelled in bytes.

The vocabulary is every character seen at least `min_count` times in the training text,
in code point order, then a marker and 256 byte symbols. Any other character is written
marker + its UTF-8 bytes, in training too, so that the marker and the bytes have learned
probabilities and every text has finite bits.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from charlm.text.decoding import Say
from charlm.text.stored import json_bytes, read_object
from charlm.text.tokenizers import utf8
from charlm.text.tokenizers.base import (
    FREE_FLOOR_MASS,
    SPELLING_FLOOR_MASS,
    Grammar,
    Tokenizer,
    TokenizerSettings,
    say_nothing,
)
from charlm.text.tokenizers.checks import (
    DESCRIPTION,
    FORMAT,
    checked_ids,
    checked_min_count,
    damaged,
    exact_files,
)
from charlm.text.tokenizers.stream import TokenStream

DEFAULT_MIN_COUNT = 2
_CODE_POINTS = 0x110000
_LINE_BREAK = 0x0A
_AFTER_MARKER = utf8.STATES  # the state in which a lead byte must follow


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    characters: str
    format: Literal[1] = 1
    kind: Literal["char"] = "char"
    lowercase: bool | msgspec.UnsetType = msgspec.UNSET


class CharTokenizer(Tokenizer):
    """ids: n characters, the marker n, the bytes n + 1 .. n + 256; V = n + 257.

    `characters` are code points, strictly rising, with the line break among them.
    """

    kind: ClassVar[str] = "char"

    def __init__(self, characters: npt.NDArray[np.uint32]) -> None:
        self._characters = characters
        self._marker = len(characters)
        self._first_byte = self._marker + 1
        self.vocabulary_size = self._first_byte + 256
        self.boundary_id = int(np.searchsorted(characters, _LINE_BREAK))
        self._id_of = np.full(_CODE_POINTS, self._marker, self.dtype)
        self._id_of[characters] = np.arange(self._marker)
        # What each id stands for in UTF-8: its bytes (V, 4) and how many; the marker has none.
        self._bytes = np.zeros((self.vocabulary_size, 4), np.uint8)
        self._lengths = np.zeros(self.vocabulary_size, np.uint8)
        self._bytes[: self._marker], self._lengths[: self._marker] = utf8.utf8_bytes(characters)
        self._bytes[self._first_byte :, 0] = np.arange(256)
        self._lengths[self._first_byte :] = 1

    @classmethod
    def fit(
        cls, blocks: Iterable[str], settings: TokenizerSettings, say: Say = say_nothing
    ) -> Self:
        least = checked_min_count(settings.min_count, DEFAULT_MIN_COUNT)
        counts = _counts(blocks)
        counts[_LINE_BREAK] = max(counts[_LINE_BREAK], least)
        return cls(np.flatnonzero(counts >= least).astype(np.uint32))

    def grown(self, blocks: Iterable[str]) -> Self:
        """With the characters that are seen DEFAULT_MIN_COUNT times there."""
        counts = _counts(block.lower() if self.lowercase else block for block in blocks)
        counts[self._characters] = DEFAULT_MIN_COUNT
        found = type(self)(np.flatnonzero(counts >= DEFAULT_MIN_COUNT).astype(np.uint32))
        found.lowercase = self.lowercase
        return found

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        (data,) = exact_files(files, DESCRIPTION)
        characters = read_object(data, _Stored, DESCRIPTION, FORMAT).characters
        try:
            codes = utf8.code_points(characters)
        except UnicodeEncodeError:
            codes = np.zeros(0, np.uint32)
        if _LINE_BREAK not in codes or not bool(np.all(codes[1:] > codes[:-1])):
            raise damaged(
                f"{DESCRIPTION} is damaged: its {len(characters)} characters must be in code "
                "point order, each once, with the line break among them and no surrogate."
            )
        return cls(codes)

    def to_files(self) -> dict[str, bytes]:
        characters = self._characters.astype("<u4").tobytes().decode("utf-32-le")
        lowercase = self.lowercase or msgspec.UNSET
        return {DESCRIPTION: json_bytes(_Stored(characters=characters, lowercase=lowercase))}

    def _encode(self, text: str, continues: bool) -> npt.NDArray[Any]:
        codes = utf8.code_points(text)
        ids = self._id_of[codes]
        spelled = np.flatnonzero(ids == self._marker)
        if not spelled.size:
            return ids
        symbols, lengths = utf8.utf8_bytes(codes[spelled])
        places = np.ones(len(ids), np.intp)
        places[spelled] += lengths
        expanded = np.repeat(ids, places)
        # A marker stands where its character would, moved by the bytes of those before it.
        markers = spelled + np.cumsum(lengths) - lengths
        for place in range(4):
            has = lengths > place
            expanded[markers[has] + 1 + place] = self._first_byte + symbols[has, place].astype(
                self.dtype
            )
        return expanded

    def decode(self, ids: npt.ArrayLike) -> str:
        found = checked_ids(ids, self.vocabulary_size)
        used = np.arange(4) < self._lengths[found][:, None]  # (N, 4)
        return self._bytes[found][used].tobytes().decode("utf-8", "replace")

    def stream(self, after: str = "") -> TokenStream:
        return TokenStream(lambda token: self._bytes[token, : self._lengths[token]].tobytes())

    def token_text(self, token: int) -> str:
        if token < self._marker:
            return chr(self._characters[token])
        return "<spell>" if token == self._marker else f"<0x{token - self._first_byte:02X}>"

    def token_identity(self, token: int) -> tuple[str, str | int]:
        if token < self._marker:
            return ("text", chr(self._characters[token]))
        if token == self._marker:
            return ("marker", "spell")
        return ("byte", token - self._first_byte)

    def _grammar(self) -> Grammar:
        after, legal_bytes = utf8.automaton()
        marker, symbols = self._marker, slice(self._first_byte, None)
        inside = slice(1, utf8.STATES)
        states = utf8.STATES + 1
        legal = np.zeros((states, self.vocabulary_size), np.bool_)
        legal[utf8.BETWEEN, : marker + 1] = True
        legal[inside, symbols] = legal_bytes[1:]
        legal[_AFTER_MARKER, symbols] = legal_bytes[utf8.BETWEEN]
        next_state = np.full(legal.shape, utf8.BETWEEN, np.uint8)
        next_state[:, marker] = _AFTER_MARKER
        next_state[inside, symbols] = after[1:]
        next_state[_AFTER_MARKER, symbols] = after[utf8.BETWEEN]
        floor_mass = np.full(states, SPELLING_FLOOR_MASS)
        floor_mass[utf8.BETWEEN] = FREE_FLOOR_MASS
        floor = utf8.uniform(legal)
        # Between characters the model knows its own alphabet; only the way out of it needs
        # a floor, and the line break, which a text of one line never shows.
        floor[utf8.BETWEEN] = 0.0
        floor[utf8.BETWEEN, [marker, self.boundary_id]] = 0.5
        return Grammar(next_state=next_state, legal=legal, floor_mass=floor_mass, floor=floor)


def _counts(blocks: Iterable[str]) -> npt.NDArray[np.int64]:
    """How often each code point is seen."""
    counts = np.zeros(_CODE_POINTS, np.int64)
    for block in blocks:
        found = np.bincount(utf8.code_points(block))
        counts[: len(found)] += found
    return counts
