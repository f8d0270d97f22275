"""What every tokenizer is: text to ids and back without loss, with a grammar of its ids."""

import codecs
import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NoReturn, Self

import msgspec
import numpy as np
import numpy.typing as npt

from charlm.errors import DataError, RunError, UsageError
from charlm.registry import TOKENIZERS, resolve
from charlm.text.stored import read_object

DESCRIPTION = "tokenizer.json"
FORMAT = 1

# The floors under the model's probabilities. Between characters, 16 bits buy the start of a
# spelled character and cost 2e-5 bits a token; within one the guess may be poorer, as it is
# rare, so that a character of three bytes never seen costs at most about 48 bits.
FREE_FLOOR_MASS = 2.0**-16
SPELLING_FLOOR_MASS = 2.0**-4


class TokenizerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person chooses about a tokenizer; None is the tokenizer's own default."""

    kind: str = "char"
    min_count: int | None = None


@dataclass(frozen=True)
class Grammar:
    """Which token may follow which: an automaton of S states over V token ids; 0 is free.

    The measured probability of token v in state s is
    p = (1 - floor_mass[s]) q[v] + floor_mass[s] floor[s, v], with q the softmax over the
    tokens legal in s: those hardly ever seen in training are driven to logits of -50, and
    the floor bounds their cost.
    """

    next_state: npt.NDArray[np.uint8]  # (S, V) an illegal token leads where it would from state 0
    legal: npt.NDArray[np.bool_]  # (S, V) at least one True in each row
    floor_mass: npt.NDArray[np.float64]  # (S,)
    floor: npt.NDArray[np.float64]  # (S, V) rows sum to 1, zero on illegal tokens

    def run(
        self, state: npt.NDArray[Any], ids: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The states before each token (T, B) and the final ones (B,).

        `state` (B,) holds where each stream starts, `ids` (T, B) what it reads.
        """
        before = np.empty(ids.shape, np.uint8)
        current = np.asarray(state, np.uint8)
        for time, tokens in enumerate(ids):
            before[time] = current
            current = self.next_state[current, tokens]
        return before, current

    @cached_property
    def _certain(self) -> npt.NDArray[np.bool_]:
        """(V,) the tokens that lead to one and the same state from every state."""
        return np.asarray((self.next_state == self.next_state[0]).all(axis=0))

    def state_before(self, ids: npt.NDArray[Any], position: int) -> int:
        """The state before ids[position] of a text that begins in the free state.

        Goes back only to the last token after which the state is certain.
        """
        back = position
        while back > 0 and not self._certain[ids[back - 1]]:
            back -= 1
        state = int(self.next_state[0, ids[back - 1]]) if back > 0 else 0
        for token in ids[back:position]:
            state = int(self.next_state[state, token])
        return state


class TokenStream:
    """Ids in one at a time, text out as soon as its characters are complete."""

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that `token` completes; "" while a character is incomplete."""
        return self._decoder.decode(self._token_bytes(token))

    def finish(self) -> str:
        """U+FFFD for a character that was left incomplete, else ""."""
        return self._decoder.decode(b"", True)


class Tokenizer(ABC):
    """Text to ids and back: decode(encode(x)) == x for every str without lone surrogates."""

    kind: ClassVar[str]
    vocabulary_size: int
    boundary_id: int  # the line break; the unscored first input of an empty state

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id."""
        return smallest_dtype(self.vocabulary_size)

    @cached_property
    def grammar(self) -> Grammar:
        return self._grammar()

    @classmethod
    @abstractmethod
    def fit(cls, blocks: Iterable[str], settings: TokenizerSettings) -> Self:
        """The tokenizer for a training text, which comes in blocks, in order.

        UsageError: a setting that this tokenizer does not have, or out of its range.
        """

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The tokenizer that `to_files` stored; RunError where the files are inconsistent."""

    @abstractmethod
    def to_files(self) -> dict[str, bytes]:
        """What is stored under tokenizer/: file name to content."""

    @abstractmethod
    def encode(self, text: str) -> npt.NDArray[Any]:
        """The ids of `text`, (N,) of `dtype`; DataError for a lone surrogate."""

    @abstractmethod
    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, with U+FFFD where they do not spell legal UTF-8."""

    @abstractmethod
    def stream(self) -> TokenStream:
        """A decoder for ids that come one by one; its pieces join to what `decode` gives."""

    @abstractmethod
    def token_text(self, token: int) -> str:
        """The token as people read it: the character, <0xE4> for a byte, <spell> for a marker."""

    @abstractmethod
    def _grammar(self) -> Grammar: ...


def smallest_dtype(vocabulary_size: int) -> np.dtype[Any]:
    """uint8, uint16 or uint32, little-endian: the first that holds `vocabulary_size` ids."""
    for name, most in (("u1", 1 << 8), ("<u2", 1 << 16)):
        if vocabulary_size <= most:
            return np.dtype(name)
    return np.dtype("<u4")


def checked_ids(ids: npt.ArrayLike, vocabulary_size: int) -> npt.NDArray[np.intp]:
    """`ids` as indices; ValueError where one is outside the vocabulary."""
    found = np.atleast_1d(np.asarray(ids, np.intp))
    if found.size and not (found.min() >= 0 and found.max() < vocabulary_size):
        raise ValueError(f"token ids must be in 0..{vocabulary_size - 1}")
    return found


def refuse_lone_surrogate(problem: UnicodeEncodeError) -> NoReturn:
    """DataError for the half of a surrogate pair that a str may hold and UTF-8 cannot."""
    code = ord(problem.object[problem.start])
    raise DataError(
        f"The text has a lone surrogate, U+{code:04X}, at character {problem.start}; "
        "no UTF-8 text can hold it.",
        "Remove it, or replace it by U+FFFD.",
    ) from problem


def only_file(files: Mapping[str, bytes]) -> bytes:
    """The content of `tokenizer.json`, which must be there and alone."""
    if set(files) != {DESCRIPTION}:
        raise RunError(
            f"tokenizer/ holds {', '.join(sorted(files)) or 'nothing'}; needed: {DESCRIPTION} "
            "alone.",
            "Restore the run from a copy, or train again.",
        )
    return files[DESCRIPTION]


class _Description(msgspec.Struct):
    format: int
    kind: str


def load_tokenizer(files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer stored in `files`; RunError where they are damaged or of an unknown kind."""
    if DESCRIPTION not in files:
        raise RunError(
            f"tokenizer/ has no {DESCRIPTION}.", "Restore the run from a copy, or train again."
        )
    kind = read_object(files[DESCRIPTION], _Description, DESCRIPTION, FORMAT).kind
    if kind not in TOKENIZERS:
        raise RunError(
            f"{DESCRIPTION} names the tokenizer {kind!r}; known: {', '.join(TOKENIZERS)}.",
            "Use the charlm that wrote it, or a newer one.",
        )
    loaded: Tokenizer = resolve(TOKENIZERS, kind).from_files(files)
    return loaded


def fit_tokenizer(settings: TokenizerSettings, blocks: Iterable[str]) -> Tokenizer:
    """The tokenizer that `settings` asks for, fitted on the training text in `blocks`.

    UsageError: an unknown kind, or a setting that the kind does not have.
    """
    if settings.kind not in TOKENIZERS:
        near = difflib.get_close_matches(settings.kind, TOKENIZERS, 1)
        raise UsageError(
            f"There is no tokenizer {settings.kind!r}; there are: {', '.join(TOKENIZERS)}.",
            f"Did you mean --tokenizer {near[0]}?" if near else "Choose one with --tokenizer.",
        )
    fitted: Tokenizer = resolve(TOKENIZERS, settings.kind).fit(blocks, settings)
    return fitted
