"""Subword tokens by sentencepiece: the pieces of a unigram model, or of byte pair encoding.

Only encoding asks sentencepiece (`subword_training` says how the pieces are learned). It never
sees a line break, a control or its own marks: those, and the characters that no piece has, are
spelled in byte tokens, and nothing is lost. Ids are its own, but that its unknown, which
spelling in bytes never leaves, is the line break.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar, Final, Self

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
from charlm.text.tokenizers.checks import DESCRIPTION, FORMAT, checked_ids, damaged, exact_files
from charlm.text.tokenizers.stream import AfterSpace, TokenStream
from charlm.text.tokenizers.subword_training import HIDDEN, SPECIAL, cut, train

_LINE_BREAK: Final = 0
_FIRST_BYTE: Final = 1
_SPACE: Final = "\u2581"  # how sentencepiece writes it
_SPELLED: Final = {
    hidden: [_FIRST_BYTE + byte for byte in hidden.encode()] for hidden in HIDDEN
} | {"\n": [_LINE_BREAK]}
_MOST_TOKENS: Final = 1 << 20
_MANY_SEGMENTS: Final = 1000  # lines: below, starting threads takes longer than they save


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    model_sha256: str
    format: int = FORMAT
    lowercase: bool | msgspec.UnsetType = msgspec.UNSET


class SubwordTokenizer(Tokenizer):
    """ids: the line break, the bytes 1 .. 256, then the pieces."""

    boundary_id = _LINE_BREAK

    def __init__(self, model: bytes) -> None:
        """RunError: `model` is none, or one that charlm did not make."""
        import sentencepiece

        sentencepiece.set_min_log_level(4)  # what goes wrong is for us to tell
        self._model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as problem:
            raise damaged(f"{self._model_name()} is no sentencepiece model.") from problem
        try:
            self._pieces = self._checked_pieces()
        except (UnicodeDecodeError, IndexError, RuntimeError) as problem:
            raise damaged(f"{self._model_name()} has a piece that is no text.") from problem
        self.vocabulary_size = SPECIAL + len(self._pieces)
        symbols = [bytes((byte,)) for byte in range(256)]
        self._bytes = [b"\n", *symbols, *(piece.encode() for piece in self._pieces)]

    @classmethod
    def fit(
        cls, blocks: Iterable[str], settings: TokenizerSettings, say: Say = say_nothing
    ) -> Self:
        return cls(train(cls.kind, blocks, settings.vocab_size, say))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        name = cls._model_name()
        description, model = exact_files(files, DESCRIPTION, name)
        expected = read_object(description, _Stored, DESCRIPTION, FORMAT).model_sha256
        found = hashlib.sha256(model).hexdigest()
        if found != expected:  # it is not even parsed
            raise damaged(f"{name} is damaged: its SHA-256 is {found}; needed: {expected}.")
        return cls(model)

    def to_files(self) -> dict[str, bytes]:
        stored = _Stored(
            kind=self.kind,
            model_sha256=hashlib.sha256(self._model).hexdigest(),
            lowercase=self.lowercase or msgspec.UNSET,
        )
        return {DESCRIPTION: json_bytes(stored), self._model_name(): self._model}

    def _encode(self, text: str, continues: bool) -> npt.NDArray[Any]:
        text.encode()  # sentencepiece would take a lone surrogate for something else
        segments = cut(text)
        seen = [segment for segment in segments if segment not in HIDDEN]
        threads = _processors() if len(seen) >= _MANY_SEGMENTS else 1  # the ids are the same
        encoded: Iterator[list[int]] = iter(self._processor.encode(seen, num_threads=threads))
        ids = [_SPELLED[part] if part in HIDDEN else next(encoded) for part in segments]
        return np.fromiter(chain.from_iterable(ids), self.dtype)

    def decode(self, ids: npt.ArrayLike) -> str:
        found = checked_ids(ids, self.vocabulary_size).tolist()
        return b"".join(map(self._bytes.__getitem__, found)).decode("utf-8", "replace")

    def encode_prompt(self, text: str) -> npt.NDArray[Any]:
        """A space at the end is left to the piece that comes next: pieces begin with theirs."""
        return self.encode(text[:-1] if _is_open(text) else text)

    def openings(self, prompt: str) -> npt.NDArray[np.bool_] | None:
        """After a space that was left to it, what begins with one."""
        if not _is_open(prompt):
            return None
        return np.array([symbol.startswith(b" ") for symbol in self._bytes])

    def stream(self, after: str = "") -> TokenStream:
        stream = TokenStream(self._bytes.__getitem__)
        return AfterSpace(stream) if _is_open(after) else stream

    def token_text(self, token: int) -> str:
        of_what, value = self.token_identity(token)
        return f"<0x{value:02X}>" if of_what == "byte" else str(value)

    def token_identity(self, token: int) -> tuple[str, str | int]:
        if token == _LINE_BREAK:
            return ("text", "\n")
        if token < SPECIAL:
            return ("byte", token - _FIRST_BYTE)
        return ("text", self._pieces[token - SPECIAL])

    def _grammar(self) -> Grammar:
        after, legal_bytes = utf8.automaton()
        legal_bytes[utf8.BETWEEN, ord("\n")] = False
        symbols = slice(_FIRST_BYTE, SPECIAL)
        shape = (utf8.STATES, self.vocabulary_size)
        legal = np.zeros(shape, np.bool_)
        legal[utf8.BETWEEN] = True
        legal[:, symbols] = legal_bytes
        next_state = np.full(shape, utf8.BETWEEN, np.uint8)
        next_state[:, symbols] = np.where(legal_bytes, after, after[utf8.BETWEEN])
        floor_mass = np.full(utf8.STATES, SPELLING_FLOOR_MASS)
        floor_mass[utf8.BETWEEN] = FREE_FLOOR_MASS
        floor = utf8.uniform(legal)
        # The way out of the pieces is the bytes. Pieces have a floor too: the best spelling of
        # the training text may never use one.
        floor[utf8.BETWEEN, _LINE_BREAK] = 0.25
        floor[utf8.BETWEEN, symbols] = utf8.uniform(legal_bytes[utf8.BETWEEN]) / 2
        floor[utf8.BETWEEN, SPECIAL:] = 0.25 / len(self._pieces)
        return Grammar(next_state=next_state, legal=legal, floor_mass=floor_mass, floor=floor)

    @classmethod
    def _model_name(cls) -> str:
        return f"{cls.kind}.model"

    def _checked_pieces(self) -> list[str]:
        """The texts of all pieces; RunError where the model is not laid out as ours are."""
        processor = self._processor
        size: int = processor.piece_size()
        laid_out = SPECIAL < size <= _MOST_TOKENS and processor.unk_id() == 0
        laid_out = laid_out and all(
            processor.is_byte(_FIRST_BYTE + byte)
            and processor.id_to_piece(_FIRST_BYTE + byte) == f"<0x{byte:02X}>"
            for byte in range(256)
        )
        others = (
            processor.is_byte,
            processor.is_control,
            processor.is_unknown,
            processor.is_unused,
        )
        pieces: list[str] = []
        if laid_out and not any(of(token) for of in others for token in range(SPECIAL, size)):
            pieces = [processor.id_to_piece(token) for token in range(SPECIAL, size)]
        known = set(pieces)
        if _SPACE not in known or len(known) < len(pieces) or not all(map(_is_piece, pieces)):
            raise damaged(f"{self._model_name()} is not a model as charlm makes them.")
        return [piece.replace(_SPACE, " ") for piece in pieces]


def _processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_piece(piece: str) -> bool:
    try:
        piece.encode()
    except UnicodeEncodeError:
        return False
    return piece != "" and "\n" not in piece


def _is_open(prompt: str) -> bool:
    """Whether a prompt ends with one space, and so before a word."""
    return prompt.endswith(" ") and not prompt.endswith("  ")


class UnigramTokenizer(SubwordTokenizer):
    """Pieces of a unigram language model (Kudo 2018)."""

    kind: ClassVar[str] = "unigram"


class BpeTokenizer(SubwordTokenizer):
    """Pieces of byte pair encoding (Sennrich, Haddow & Birch 2016)."""

    kind: ClassVar[str] = "bpe"
