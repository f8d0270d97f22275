"""Byte tokens: the 256 ids are the bytes of UTF-8, so nothing is fitted and nothing unseen."""

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
from charlm.text.tokenizers.checks import DESCRIPTION, FORMAT, checked_ids, exact_files
from charlm.text.tokenizers.stream import TokenStream


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal[1] = 1
    kind: Literal["byte"] = "byte"
    lowercase: bool | msgspec.UnsetType = msgspec.UNSET


class ByteTokenizer(Tokenizer):
    """id = byte value; V = 256; the boundary is 10, the line break."""

    kind: ClassVar[str] = "byte"
    vocabulary_size = 256
    boundary_id = 10

    @classmethod
    def fit(
        cls, blocks: Iterable[str], settings: TokenizerSettings, say: Say = say_nothing
    ) -> Self:
        return cls()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        (data,) = exact_files(files, DESCRIPTION)
        read_object(data, _Stored, DESCRIPTION, FORMAT)
        return cls()

    def to_files(self) -> dict[str, bytes]:
        return {DESCRIPTION: json_bytes(_Stored(lowercase=self.lowercase or msgspec.UNSET))}

    def _encode(self, text: str, continues: bool) -> npt.NDArray[Any]:
        return np.frombuffer(bytearray(text.encode("utf-8")), np.uint8)

    def decode(self, ids: npt.ArrayLike) -> str:
        return checked_ids(ids, 256).astype(np.uint8).tobytes().decode("utf-8", "replace")

    def stream(self, after: str = "") -> TokenStream:
        return TokenStream(lambda token: bytes((token,)))

    def token_text(self, token: int) -> str:
        return chr(token) if token < 0x80 else f"<0x{token:02X}>"

    def token_identity(self, token: int) -> tuple[str, str | int]:
        return ("text", chr(token)) if token < 0x80 else ("byte", token)

    def _grammar(self) -> Grammar:
        after, legal = utf8.automaton()
        floor_mass = np.full(utf8.STATES, SPELLING_FLOOR_MASS)
        floor_mass[utf8.BETWEEN] = FREE_FLOOR_MASS
        return Grammar(
            next_state=np.where(legal, after, after[utf8.BETWEEN]),
            legal=legal,
            floor_mass=floor_mass,
            floor=utf8.uniform(legal),
        )
