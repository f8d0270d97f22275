"""Word tokens: items of a line and the gaps between them that do not go without saying.

A line is cut by `word_split`. Its items are tokens; so are the gaps that are not the expected
ones: a run of whitespace, or <join> where items touch that are expected apart. Each line break
is <eos>. With word_oov "spell" an item or gap that is seen fewer than `min_count` times is
written as a marker, its UTF-8 bytes and an end marker, in training too, and nothing is lost.

With word_oov "unk" it is the literature's <unk>, a token beside the word "<unk>" that a text
may have, and gaps are not kept at all: what comes back has the expected ones. WikiText-2 cut
by whitespace has 33,278 types, <eos> and the word <unk> among them, and so V = 33,279. The
token <unk> is read and measured, and never drawn.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from charlm.errors import UsageError
from charlm.text.decoding import Say
from charlm.text.stored import json_bytes, read_object
from charlm.text.tokenizers import word_grammar
from charlm.text.tokenizers.base import (
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
from charlm.text.tokenizers.stream import AfterSpace, TokenStream
from charlm.text.tokenizers.word_grammar import END, EOS, FIRST_BYTE, JOIN, MARKER, UNKNOWN
from charlm.text.tokenizers.word_pieces import Growing, KnownPieces
from charlm.text.tokenizers.word_split import BREAK, GAP, Pieces, Splitting, space_expected
from charlm.text.tokenizers.word_stream import SILENT, Shown, WordStream

DEFAULT_MIN_COUNT: Final = 3
MOST_TOKENS: Final = 50_000  # of the vocabulary, unless --vocab-size says otherwise
LONGEST_WORD: Final = 256  # characters; what is longer is hardly a word, and always spelled
MOST_TYPES: Final = 1 << 22  # counted at once: some 500 MB

_FIRST_WORD: Final = {"spell": FIRST_BYTE + 256, "unk": UNKNOWN + 1}
_UNSEEN: Final = -1


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    words: list[str]
    word_split: Literal["unicode", "whitespace"]
    word_oov: Literal["spell", "unk"]
    format: Literal[1] = 1
    kind: Literal["word"] = "word"
    lowercase: bool | msgspec.UnsetType = msgspec.UNSET


class _Ids(dict[str, int]):
    def __missing__(self, piece: str) -> int:
        return _UNSEEN


class WordTokenizer(Tokenizer):
    """ids: <eos>, the special ones, then `words` (gaps among them), the most frequent first."""

    kind: ClassVar[str] = "word"
    boundary_id = EOS

    def __init__(self, words: Sequence[str], word_split: str, word_oov: str) -> None:
        self._words = tuple(words)
        self._split_name, self._oov = word_split, word_oov
        self._spells = word_oov == "spell"
        self._splitting = Splitting(word_split)
        self._first_word = _FIRST_WORD[word_oov]
        self.vocabulary_size = self._first_word + len(self._words)
        self.unknown_id = None if self._spells else UNKNOWN
        self._ids = _Ids(
            zip(self._words, range(self._first_word, self.vocabulary_size), strict=True)
        )
        self._ids["\n"] = EOS
        self._looked_up: tuple[KnownPieces | None, Growing] = None, Growing(np.int64)

    @classmethod
    def fit(
        cls, blocks: Iterable[str], settings: TokenizerSettings, say: Say = say_nothing
    ) -> Self:
        least = checked_min_count(settings.min_count, DEFAULT_MIN_COUNT)
        split, oov = settings.word_split or "unicode", settings.word_oov or "spell"
        for name, value, choices in (
            ("split", split, ("unicode", "whitespace")),
            ("oov", oov, ("spell", "unk")),
        ):
            if value not in choices:
                raise UsageError(f"--word-{name} is {value}; needed: {' or '.join(choices)}.")
        most = settings.vocab_size or MOST_TOKENS
        if most <= _FIRST_WORD[oov]:
            raise UsageError(
                f"--vocab-size {most} leaves no room for a word: {_FIRST_WORD[oov]} tokens are "
                "line break, markers and bytes.",
                f"Give at least {_FIRST_WORD[oov] + 1}.",
            )
        splitting = Splitting(split)
        counts = _counts(blocks, splitting, gaps=oov == "spell")
        words = [word for word, count in counts.items() if count >= least]
        words.sort(key=lambda word: (-counts[word], word))
        kept = words[: most - _FIRST_WORD[oov]]
        if len(kept) < len(words) and settings.vocab_size is None:
            say(
                f"{len(words):,} words are seen {least} times or more; the vocabulary has the "
                f"{len(kept):,} most frequent ones (--vocab-size for another number)."
            )
        found = cls(kept, split, oov)
        found._splitting = splitting  # which knows the pieces of this text
        return found

    def grown(self, blocks: Iterable[str]) -> Self:
        """With the words that are seen DEFAULT_MIN_COUNT times there, the most frequent first."""
        if self.lowercase:
            blocks = (block.lower() for block in blocks)
        counts = _counts(blocks, self._splitting, gaps=self._spells)
        new = [
            word
            for word, count in counts.items()
            if count >= DEFAULT_MIN_COUNT and word not in self._ids
        ]
        new.sort(key=lambda word: (-counts[word], word))
        kept = new[: max(0, MOST_TOKENS - self.vocabulary_size)]
        found = type(self)([*self._words, *kept], self._split_name, self._oov)
        found.lowercase = self.lowercase
        return found

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        (data,) = exact_files(files, DESCRIPTION)
        stored = read_object(data, _Stored, DESCRIPTION, FORMAT)
        words = stored.words
        if len(set(words)) < len(words) or not all(map(_is_word, words)):
            raise damaged(
                f"{DESCRIPTION} is damaged: each of its {len(words)} words must be there once, "
                "with one character at least, no line break and no surrogate."
            )
        return cls(words, stored.word_split, stored.word_oov)

    def to_files(self) -> dict[str, bytes]:
        stored = msgspec.convert(
            {"words": self._words, "word_split": self._split_name, "word_oov": self._oov}, _Stored
        )
        stored.lowercase = self.lowercase or msgspec.UNSET
        return {DESCRIPTION: json_bytes(stored)}

    def encode_prompt(self, text: str) -> npt.NDArray[Any]:
        """A space at the end goes without saying where it is expected before a next word."""
        return self.encode(text[:-1] if self._is_open(text) else text)

    def openings(self, prompt: str) -> npt.NDArray[np.bool_] | None:
        """After a space that went without saying, what it is expected before, or begins with it."""
        if not self._is_open(prompt):
            return None
        last = self._splitting.last_kind(prompt[:-1])
        found = np.fromiter(
            (
                text.startswith(" ") if kind == GAP else space_expected(last, kind)
                for text, kind in zip(self._shown.texts, self._shown.kinds, strict=True)
            ),
            np.bool_,
        )
        if self._spells:
            found[MARKER] = True  # whatever it will be
        return found if (found & self.grammar.drawable[0]).any() else None

    def _is_open(self, prompt: str) -> bool:
        """Whether a prompt ends with a space that would be expected before a next word."""
        before = self._splitting.last_kind(prompt[:-1])
        return prompt.endswith(" ") and space_expected(before, 0)

    def _encode(self, text: str, continues: bool) -> npt.NDArray[Any]:
        pieces = self._splitting.split(text, continues)
        ids = self._ids_of(pieces.known)[pieces.numbers]
        if self._spells:
            return self._spelled(pieces, ids)
        ids = ids[pieces.kinds != GAP]
        return np.where(ids == _UNSEEN, UNKNOWN, ids).astype(self.dtype)

    def _ids_of(self, known: KnownPieces) -> npt.NDArray[np.int64]:
        """The id of each known piece, by its number."""
        if self._looked_up[0] is not known:
            self._looked_up = known, Growing(np.int64)
        found = self._looked_up[1]
        found.new += map(self._ids.__getitem__, known.texts[len(found) :])
        return found.array

    def _spelled(self, pieces: Pieces, ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """All written pieces as ids, with their joins and spellings."""
        unseen = np.flatnonzero((ids == _UNSEEN) & pieces.written)
        data = [pieces.known.texts[number].encode() for number in pieces.numbers[unseen].tolist()]
        sizes = np.fromiter(map(len, data), np.intp, len(data))
        lengths = pieces.written.astype(np.intp)
        lengths[unseen] += 1 + sizes
        lengths += pieces.joined
        ends = np.cumsum(lengths)
        found = np.empty(ends[-1] if len(ends) else 0, self.dtype)
        found[(ends - lengths)[pieces.joined]] = JOIN
        seen = pieces.written.copy()
        seen[unseen] = False
        found[ends[seen] - 1] = ids[seen]
        last = ends[unseen] - 1
        found[last - sizes - 1] = MARKER
        found[last] = END
        # Byte number n of all the data stands n places after where its item's bytes begin.
        begins = last - sizes - (np.cumsum(sizes) - sizes)
        places = np.repeat(begins, sizes) + np.arange(sizes.sum())
        symbols = np.frombuffer(b"".join(data), np.uint8)
        found[places] = symbols.astype(self.dtype) + self.dtype.type(FIRST_BYTE)
        return found

    def decode(self, ids: npt.ArrayLike) -> str:
        found = checked_ids(ids, self.vocabulary_size)
        stream = self.stream()
        return "".join([*map(stream.feed, found.tolist()), stream.finish()])

    def stream(self, after: str = "") -> TokenStream:
        if self._is_open(after):
            return AfterSpace(WordStream(self._shown, self._splitting, after[:-1]))
        return WordStream(self._shown, self._splitting, after)

    @cached_property
    def _shown(self) -> Shown:
        if self._spells:
            special = ["\n", "", "", "", *[""] * 256]
            kinds = [BREAK, SILENT, SILENT, GAP, *[SILENT] * 256]
        else:
            special, kinds = ["\n", "<unk>"], [BREAK, 0]
        kinds += map(self._splitting.kind, self._words)
        first_byte = FIRST_BYTE if self._spells else self.vocabulary_size
        return Shown([*special, *self._words], kinds, first_byte)

    def token_text(self, token: int) -> str:
        of_what, value = self.token_identity(token)
        if of_what == "byte":
            return f"<0x{value:02X}>"
        return f"<{value}>" if of_what == "marker" else str(value)

    def token_identity(self, token: int) -> tuple[str, str | int]:
        if token == EOS:
            return ("text", "\n")
        if token >= self._first_word:
            word = self._words[token - self._first_word]
            return ("gap" if word.isspace() else "word", word)
        if not self._spells:
            return ("marker", "unk")
        if token >= FIRST_BYTE:
            return ("byte", token - FIRST_BYTE)
        return ("marker", {MARKER: "spell", END: "end", JOIN: "join"}[token])

    def _grammar(self) -> Grammar:
        make = word_grammar.spelling if self._spells else word_grammar.losing
        return make(self.vocabulary_size)


def _counts(blocks: Iterable[str], splitting: Splitting, gaps: bool) -> Counter[str]:
    """How often each item is seen, and with `gaps` each gap that is not the expected one.

    Where there are too many kinds to hold, those seen once so far are forgotten.
    """
    counts: Counter[str] = Counter()
    for block in blocks:
        pieces = splitting.split(block)
        numbers, seen = np.unique(pieces.numbers[pieces.written], return_counts=True)
        for number, count in zip(numbers.tolist(), seen.tolist(), strict=True):
            if len(piece := pieces.known.texts[number]) <= LONGEST_WORD:
                counts[piece] += count
        if len(counts) > MOST_TYPES:
            counts = Counter({piece: count for piece, count in counts.items() if count > 1})
    for piece in [piece for piece in counts if piece == "\n" or (piece.isspace() and not gaps)]:
        del counts[piece]
    return counts


def _is_word(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return word != "" and "\n" not in word
