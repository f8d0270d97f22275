"""What every tokenizer is: text to ids and back without loss, with a grammar of its ids."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import numpy.typing as npt

from charlm.errors import RunError, UsageError
from charlm.registry import TOKENIZER_SETTINGS, TOKENIZERS, resolve
from charlm.text.decoding import Say
from charlm.text.stored import read_object
from charlm.text.tokenizers.checks import DESCRIPTION, FORMAT, damaged, refuse_lone_surrogate
from charlm.text.tokenizers.stream import TokenStream

# The floors under the model's probabilities. Between characters, 16 bits buy the start of a
# spelled character and cost 2e-5 bits a token; within one the guess may be poorer, as it is
# rare, so that a character of three bytes never seen costs at most about 48 bits.
FREE_FLOOR_MASS = 2.0**-16
SPELLING_FLOOR_MASS = 2.0**-4

_COLUMN = 1024  # tokens, of a text whose states are found side by side


def say_nothing(message: str) -> None:
    """Nobody is told."""


class TokenizerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person chooses about a tokenizer; None is the tokenizer's own default."""

    kind: str = "char"
    vocab_size: int | None = None
    min_count: int | None = None
    word_split: str | None = None
    word_oov: str | None = None
    lowercase: bool = False


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
    never_drawn: tuple[int, ...] = ()  # tokens that are read and measured, but not written

    @cached_property
    def drawable(self) -> npt.NDArray[np.bool_]:
        """(S, V) what may be written in each state: `legal` without what is never drawn."""
        if not self.never_drawn:
            return self.legal
        found = self.legal.copy()
        found[:, self.never_drawn] = False
        return found

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

    def states(self, ids: npt.NDArray[Any], start: int = 0) -> npt.NDArray[np.uint8]:
        """(N,) the state before each token of ids (N,), which begin in the state `start`."""
        if len(self.next_state) == 1 or not len(ids):
            return np.zeros(len(ids), np.uint8)
        # Read in columns side by side, each from the state in which it begins.
        columns = -(-len(ids) // _COLUMN)
        padded = np.zeros(columns * _COLUMN, np.int64)
        padded[: len(ids)] = ids
        starts = [start, *(self.state_before(ids, _COLUMN * n, start) for n in range(1, columns))]
        before, _ = self.run(np.array(starts), padded.reshape(columns, _COLUMN).T)
        return before.T.reshape(-1)[: len(ids)]

    @cached_property
    def _certain(self) -> npt.NDArray[np.bool_]:
        """(V,) the tokens that lead to one and the same state from every state."""
        return np.asarray((self.next_state == self.next_state[0]).all(axis=0))

    def state_before(self, ids: npt.NDArray[Any], position: int, start: int = 0) -> int:
        """The state before ids[position] of a text that begins in the state `start`.

        Goes back only to the last token after which the state is certain.
        """
        back = position
        while back > 0 and not self._certain[ids[back - 1]]:
            back -= 1
        state = int(self.next_state[0, ids[back - 1]]) if back > 0 else start
        for token in ids[back:position]:
            state = int(self.next_state[state, token])
        return state


class Tokenizer(ABC):
    """Text to ids and back: decode(encode(x)) == x for every str without lone surrogates.

    Two settings lose something and are made to: with `lowercase` it is x.lower() that comes
    back, and unknown words become `unknown_id` where the tokenizer has one.
    """

    kind: ClassVar[str]
    vocabulary_size: int
    boundary_id: int  # the line break; the unscored first input of an empty state
    unknown_id: int | None = None
    lowercase: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id."""
        return smallest_dtype(self.vocabulary_size)

    @property
    def lossless(self) -> bool:
        """Whether every text comes back as it was."""
        return not self.lowercase and self.unknown_id is None

    @cached_property
    def grammar(self) -> Grammar:
        return self._grammar()

    @classmethod
    @abstractmethod
    def fit(
        cls, blocks: Iterable[str], settings: TokenizerSettings, say: Say = say_nothing
    ) -> Self:
        """The tokenizer for a training text, which comes in blocks, in order; as `fit_tokenizer`.

        UsageError: a setting out of its range. DataError: a text that nothing can be made of.
        """

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The tokenizer that `to_files` stored; RunError where the files are inconsistent."""

    @abstractmethod
    def to_files(self) -> dict[str, bytes]:
        """What is stored under tokenizer/: file name to content."""

    def grown(self, blocks: Iterable[str]) -> Self:
        """This tokenizer with tokens for what a further text has and it has not, after its own.

        Itself where all that it takes apart is known already.
        """
        return self

    def encode(self, text: str, continues: bool = False) -> npt.NDArray[Any]:
        """The ids of `text`, (N,) of `dtype`; DataError for a lone surrogate.

        `continues`: it goes on within the line that the text before it ended in.
        """
        try:
            return self._encode(text.lower() if self.lowercase else text, continues)
        except UnicodeEncodeError as problem:
            refuse_lone_surrogate(problem)

    def count_unknown(self, ids: npt.NDArray[Any]) -> int:
        """How many of `ids` stand for unknown words."""
        return 0 if self.unknown_id is None else int(np.count_nonzero(ids == self.unknown_id))

    def encode_prompt(self, text: str) -> npt.NDArray[Any]:
        """The ids of a text that something will be written after.

        They may leave out a space at its end, as most words begin with the space before them.
        """
        return self.encode(text)

    def openings(self, prompt: str) -> npt.NDArray[np.bool_] | None:
        """(V,) the tokens that can come first after a prompt; None where any can."""
        return None

    @abstractmethod
    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, with U+FFFD where they do not spell legal UTF-8."""

    @abstractmethod
    def stream(self, after: str = "") -> TokenStream:
        """A decoder for ids that come one by one and follow the text `after`.

        After nothing, its pieces join to what `decode` gives.
        """

    @abstractmethod
    def token_text(self, token: int) -> str:
        """The token as people read it: the character, <0xE4> for a byte, <spell> for a marker."""

    @abstractmethod
    def token_identity(self, token: int) -> tuple[str, str | int]:
        """What the token stands for: ("text", "a"), ("byte", 228), ("marker", "spell"), ...

        Unique within a tokenizer, and the same in two of them where it means the same.
        """

    @abstractmethod
    def _encode(self, text: str, continues: bool) -> npt.NDArray[Any]:
        """As `encode`; UnicodeEncodeError for a lone surrogate."""

    @abstractmethod
    def _grammar(self) -> Grammar: ...


def smallest_dtype(vocabulary_size: int) -> np.dtype[Any]:
    """uint8, uint16 or uint32, little-endian: the first that holds `vocabulary_size` ids."""
    for name, most in (("u1", 1 << 8), ("<u2", 1 << 16)):
        if vocabulary_size <= most:
            return np.dtype(name)
    return np.dtype("<u4")


class _Description(msgspec.Struct):
    format: int
    kind: str
    lowercase: bool = False


def load_tokenizer(files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer stored in `files`; RunError where they are damaged or of an unknown kind."""
    if DESCRIPTION not in files:
        raise damaged(f"tokenizer/ has no {DESCRIPTION}.")
    found = read_object(files[DESCRIPTION], _Description, DESCRIPTION, FORMAT)
    kind = found.kind
    if kind not in TOKENIZERS:
        raise RunError(
            f"{DESCRIPTION} names the tokenizer {kind!r}; known: {', '.join(TOKENIZERS)}.",
            "Use the charlm that wrote it, or a newer one.",
        )
    loaded: Tokenizer = resolve(TOKENIZERS, kind).from_files(files)
    loaded.lowercase = found.lowercase
    return loaded


def fit_tokenizer(
    settings: TokenizerSettings, blocks: Iterable[str], say: Say = say_nothing
) -> Tokenizer:
    """The tokenizer that `settings` asks for, fitted on the training text in `blocks`.

    `say` hears what a person should know of it. UsageError: an unknown kind, or a setting
    that the kind does not have. DataError: a text that nothing can be made of.
    """
    kind = settings.kind
    if kind not in TOKENIZERS:
        near = difflib.get_close_matches(kind, TOKENIZERS, 1)
        raise UsageError(
            f"There is no tokenizer {kind!r}; there are: {', '.join(TOKENIZERS)}.",
            f"Did you mean --tokenizer {near[0]}?" if near else "Choose one with --tokenizer.",
        )
    for name in sorted({name for names in TOKENIZER_SETTINGS.values() for name in names}):
        if getattr(settings, name) is not None and name not in TOKENIZER_SETTINGS[kind]:
            raise UsageError(
                f"--{name.replace('_', '-')} {getattr(settings, name)} has no meaning for "
                f"--tokenizer {kind}.",
                "Leave it out, or choose another tokenizer.",
            )
    if settings.lowercase:
        say("--lowercase loses which letters are capitals; no text will have one.")
        blocks = (block.lower() for block in blocks)
    try:
        fitted: Tokenizer = resolve(TOKENIZERS, kind).fit(blocks, settings, say)
    except UnicodeEncodeError as problem:
        refuse_lone_surrogate(problem)
    fitted.lowercase = settings.lowercase
    return fitted


def tokenizer_for(
    known: TokenizerSettings | Tokenizer, blocks: Iterable[str], grow: bool, say: Say
) -> Tokenizer:
    """The one that is known, `grown` by the training text if so, or one fitted on it."""
    if not isinstance(known, Tokenizer):
        return fit_tokenizer(known, blocks, say)
    return known.grown(blocks) if grow else known
