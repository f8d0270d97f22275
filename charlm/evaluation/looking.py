"""What a model knows of a text: the surprisal of each piece, what else it expected, its units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from charlm import registry
from charlm.errors import DataError, UsageError
from charlm.evaluation.detectors import detected
from charlm.evaluation.target_nats import TargetNats
from charlm.evaluation.unit_activity import Unit, best_follower, memories, traces
from charlm.looking import LONGEST, LookSettings
from charlm.model.language_model import LanguageModel
from charlm.text.direction import BACKWARD, reversal
from charlm.text.tokenizers.base import Tokenizer

EVERYTHING = "all"  # --follow all: every detector that finds something
_MOST_LOGITS = 2**21

_Found = tuple[Unit, str | None, float | None]  # a unit, what it follows, how closely


@dataclass(frozen=True)
class Piece:
    """What is shown as one: a token, or all the tokens of what is spelled, or of a join."""

    text: str
    bits: float  # -log2 p of its tokens together
    alternatives: tuple[tuple[str, float], ...]  # (token, p) where its first token stands


@dataclass(frozen=True)
class UnitLook:
    """One unit over the N pieces shown. `correlation` with what it was found by, if it was."""

    unit: Unit
    follows: str | None
    correlation: float | None
    values: dict[str, np.ndarray]  # (N,) by gate and state, after the piece was read


@dataclass(frozen=True)
class Look:
    """What was seen. `shortened`: there is more of the text."""

    pieces: list[Piece]
    units: list[UnitLook]
    shortened: bool

    @property
    def bits(self) -> float:
        return sum(piece.bits for piece in self.pieces)

    @property
    def characters(self) -> int:
        return sum(len(piece.text) for piece in self.pieces)


def look(
    model: LanguageModel,
    tokenizer: Tokenizer,
    text: str,
    settings: LookSettings,
    units: Sequence[tuple[int, int]] = (),
    follow: Sequence[str] = (),
    direction: str = "forward",
    say: Callable[[str], None] = lambda message: None,
) -> Look:
    """Look at `text`, read as one document from the empty state, as `evaluate` does; of one that
    has more than LONGEST tokens, the first of them are the document.

    UsageError: a unit that is not there. DataError: a text of no token, or in which nothing can
    be followed.
    """
    ids = tokenizer.encode(text).astype(np.int64)
    if not len(ids):
        raise DataError("the text has no token to look at", "Give a text.")
    _check_units(model, units)
    shown = _whole_units(ids, tokenizer, settings.length)
    # What a backward model says of the first piece depends on all that comes after it.
    more = follow or direction == BACKWARD
    whole = _whole_units(ids, tokenizer, LONGEST) if more else shown
    places, texts = _pieces(tokenizer, ids[:whole])
    order = np.arange(whole)
    if direction == BACKWARD:
        order = reversal(ids[:whole], tokenizer.grammar)
    reading = _Reading(model, tokenizer, ids[:whole], order)
    bits, alternatives = reading.bits(shown), reading.alternatives(shown, settings.alternatives)
    end = int(np.searchsorted(places, shown))
    edges = [0, *(places[:end] + 1)]
    pieces = [
        Piece(piece, float(bits[a:b].sum()), alternatives[a])
        for piece, a, b in zip(texts[:end], edges, edges[1:], strict=False)
    ]
    chosen: list[_Found] = [(Unit(*unit), None, None) for unit in units]
    chosen += _followers(reading, places, texts, follow, say)
    seen = traces(model, reading.inputs, [unit for unit, _, _ in chosen]) if chosen else []
    where = reading.read_at[places[:end]] + 1
    found = [
        UnitLook(*one, {name: values[where] for name, values in kept.items()})
        for one, kept in zip(chosen, seen, strict=True)
    ]
    return Look(pieces, found, shown < len(ids))


class _Reading:
    """A text as the model reads it, in its order: a boundary token, then the text's own."""

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, ids: np.ndarray, order: np.ndarray
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.targets = ids[order]
        self.read_at = np.empty_like(order)  # where each token of the text stands in that order
        self.read_at[order] = np.arange(len(order))
        self.inputs = [tokenizer.boundary_id, *self.targets.tolist()]  # (N + 1,)
        with torch.inference_mode():
            before = torch.tensor(self.inputs[:-1])[:, None]
            self._outputs = model(before, model.empty_state(1)).outputs  # (N, 1, H)
        self._states, _ = tokenizer.grammar.run(np.zeros(1, np.uint8), self.targets[:, None])
        self._nats = TargetNats(model, tokenizer.grammar)

    def bits(self, shown: int) -> np.ndarray:
        """-log2 p of the first `shown` tokens of the text."""
        nats = self._nats(self._outputs, self.targets[:, None], self._states)[:, 0]
        return np.asarray(nats[self.read_at[:shown]] / np.log(2))

    @torch.inference_mode()
    def alternatives(self, shown: int, most: int) -> list[tuple[tuple[str, float], ...]]:
        """The `most` probable tokens where each of the first `shown` tokens stands."""
        if not most:
            return [()] * shown
        found: list[tuple[tuple[str, float], ...]] = []
        grammar, text = self.tokenizer.grammar, self.tokenizer.token_text
        rows = max(1, _MOST_LOGITS // self.tokenizer.vocabulary_size)
        for begin in range(0, shown, rows):
            where = self.read_at[begin : min(begin + rows, shown)]
            states = self._states[where, 0]
            logits = self.model.logits(self._outputs[where, 0])
            q = self._nats.legal.restrict(logits, states).softmax(dim=1).numpy()  # (R, V)
            mass = grammar.floor_mass[states][:, None]
            p = (1 - mass) * q + mass * grammar.floor[states]
            for row in p:
                best = np.argsort(-row, kind="stable")[:most]
                found.append(tuple((text(int(v)), float(row[v])) for v in best if row[v] > 0))
        return found


def _check_units(model: LanguageModel, units: Sequence[tuple[int, int]]) -> None:
    sizes = model.architecture.sizes
    for layer, number in units:
        if not (1 <= layer <= len(sizes) and 1 <= number <= sizes[layer - 1]):
            shape = ", ".join(f"layer {n} has {size}" for n, size in enumerate(sizes, 1))
            raise UsageError(f"--unit {layer}:{number} is not there: {shape}", "Count from 1.")


def _whole_units(ids: np.ndarray, tokenizer: Tokenizer, most: int) -> int:
    """At most so many tokens, none of a spelled character or word cut off (but for the first)."""
    if most >= len(ids):
        return len(ids)
    begins = np.flatnonzero(tokenizer.grammar.legal[0][ids])
    before = begins[(begins > 0) & (begins <= most)]
    after = begins[begins > most]
    return int(before[-1] if len(before) else after[0] if len(after) else len(ids))


def _pieces(tokenizer: Tokenizer, ids: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The place of the last token of each piece, and its text; together they are the text."""
    stream, grammar = tokenizer.stream(), tokenizer.grammar
    places, texts, text, state = [], [], "", 0
    for place, token in enumerate(ids.tolist()):
        text += stream.feed(token)
        state = int(grammar.next_state[state, token])
        if text and state == 0:
            places.append(place)
            texts.append(text)
            text = ""
    text += stream.finish()
    if places and places[-1] == len(ids) - 1:
        texts[-1] += text
    else:  # a text that ends in what has no text of its own, or is incomplete
        places.append(len(ids) - 1)
        texts.append(text)
    return np.array(places), texts


def _followers(
    reading: _Reading,
    places: np.ndarray,
    texts: list[str],
    follow: Sequence[str],
    say: Callable[[str], None],
) -> list[_Found]:
    """For each thing to follow, the unit that does so best."""
    if not follow:
        return []
    names = list(dict.fromkeys(follow))
    if EVERYTHING in names:
        others = [name for name in names if name != EVERYTHING]
        names = list(dict.fromkeys([*registry.DETECTORS, *others]))
    text = "".join(texts)
    ends = np.cumsum([len(piece) for piece in texts]) - 1
    held = memories(reading.model, reading.inputs)[reading.read_at[places] + 1]
    found: list[_Found] = []
    for name in names:
        best = best_follower(held, detected(name, text)[ends])
        if best is not None:
            found.append((_unit_of(reading.model, best[0]), name, best[1]))
            continue
        what = f"{name}: nothing to follow in one half of the text, or in all of it the same"
        if name not in registry.DETECTORS or EVERYTHING not in follow:
            raise DataError(what, "Look at a longer text.")
        say(what)
    return found


def _unit_of(model: LanguageModel, column: int) -> Unit:
    for layer, size in enumerate(model.architecture.sizes, 1):
        if column < size:
            return Unit(layer, column + 1)
        column -= size
    raise AssertionError(column)
