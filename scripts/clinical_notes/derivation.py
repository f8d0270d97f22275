"""Following derivations: to draw one (the sampler), or to find all of a text (the parser).

Bits are -log2 of the probability, summed over the decisions of a derivation.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from clinical_notes.grammar import (
    NO_FACTS,
    Assign,
    Body,
    Capture,
    Decision,
    Echo,
    Facts,
    Grammar,
    Item,
    Literal,
    Mark,
    Number,
    Option,
    Reference,
    Weighted,
)
from clinical_notes.numbers import echo, table, with_article

START: Body = (Reference("note"),)


class Cell(NamedTuple):
    """A stack as a linked list: what is to be written next, and the rest."""

    item: Item
    rest: "Cell | None"


def push(body: Body, rest: Cell | None) -> Cell | None:
    for item in reversed(body):
        rest = Cell(item, rest)
    return rest


def marked(kind: str, text: str) -> str:
    """`text` after a mark: capitalised, or with its article."""
    if kind != "^":
        text = with_article(text)
    return text if kind == "a" else text[0].upper() + text[1:]


@dataclass(frozen=True)
class Derivation:
    """A text with the facts of its derivation and the bits of its decisions, in order."""

    text: str
    facts: Facts
    bits: float
    decisions: int


class State(NamedTuple):
    """A derivation under way. `mark` waits for the next text; `position` counts characters."""

    stack: Cell | None
    facts: Facts
    position: int
    mark: str
    bits: float
    decisions: int

    def take(self, grammar: Grammar, probability: float, option: Option) -> "State":
        """This state after the decision on top of its stack has gone to `option`."""
        assert self.stack is not None
        item = self.stack.item
        assert isinstance(item, Decision)
        return self._replace(
            stack=push(option.body, self.stack.rest),
            facts=grammar.after(item, option, self.facts),
            bits=self.bits - math.log2(probability),
            decisions=self.decisions + (probability < 1),
        )


def start(body: Body = START, facts: Facts = NO_FACTS) -> State:
    return State(push(body, None), facts, 0, "", 0.0, 0)


def to_decision(state: State, written: list[str], text: str | None) -> State | None:
    """`state` moved on to its next decision, or to its end (an empty stack).

    What it writes is appended to `written`, or, where `text` is given, compared with it: None
    is returned where they differ.
    """
    stack, facts, position, mark = state.stack, state.facts, state.position, state.mark
    while stack is not None and not isinstance(stack.item, Decision):
        item, stack = stack
        match item:
            case Literal() | Echo():
                piece = (
                    item.text
                    if isinstance(item, Literal)
                    else echo(item.expression, item.render, facts.values)
                )
                if mark and piece:
                    piece, mark = marked(mark, piece), ""
                if text is None:
                    written.append(piece)
                elif not text.startswith(piece, position):
                    return None
                position += len(piece)
            case Mark():
                # Capitalising and an article in either order are a capital article.
                mark = item.kind if mark in ("", item.kind) else "A"
            case Assign():
                value = facts.values.get(item.source, "")
                facts = facts._replace(values={**facts.values, item.target: value})
            case Capture(end=False):
                facts = facts._replace(values={**facts.values, item.fact: str(position)})
            case Capture():
                source = "".join(written) if text is None else text
                kept = source[int(facts.values[item.fact]) : position]
                facts = facts._replace(values={**facts.values, item.fact: kept})
    return state._replace(stack=stack, facts=facts, position=position, mark=mark)


def sample(grammar: Grammar, rng: random.Random, state: State | None = None) -> Derivation:
    """A derivation drawn with its probability."""
    state = state or start()
    written: list[str] = []
    while True:
        moved = to_decision(state, written, None)
        assert moved is not None
        state = moved
        if state.stack is None:
            return Derivation("".join(written), state.facts, state.bits, state.decisions)
        assert isinstance(state.stack.item, Decision)
        state = state.take(grammar, *_draw(grammar.weighted(state.stack.item, state.facts), rng))


def _draw(options: list[Weighted], rng: random.Random) -> Weighted:
    left = rng.random()
    for weighted in options:
        left -= weighted[0]
        if left < 0:
            return weighted
    return options[-1]  # the sum of the probabilities was 1 - epsilon


def parse(grammar: Grammar, text: str, state: State | None = None) -> list[Derivation]:
    """Every derivation of exactly `text`: all ways on are tried, each until it contradicts it."""
    return [found for found in derivations(grammar, text, state) if len(found.text) == len(text)]


def derivations(
    grammar: Grammar, text: str | None, state: State | None = None
) -> Iterator[Derivation]:
    """The derivations of any beginning of `text`, or of every text there is where it is None."""
    todo: list[tuple[State, str]] = [(state or start(), "")]
    while todo:
        before, prefix = todo.pop()
        written = [prefix]
        current = to_decision(before, written, text)
        if current is None:
            continue
        so_far = "".join(written)
        if current.stack is None:
            done = so_far if text is None else text[: current.position]
            yield Derivation(done, current.facts, current.bits, current.decisions)
            continue
        item = current.stack.item
        assert isinstance(item, Decision)
        for probability, option in _possible(grammar, item, current, text):
            todo.append((current.take(grammar, probability, option), so_far))


def _possible(grammar: Grammar, item: Decision, state: State, text: str | None) -> list[Weighted]:
    """The options that the next characters of `text` do not rule out at a glance."""
    if text is None or state.mark:
        return grammar.weighted(item, state.facts)
    if isinstance(item, Number):
        numbers = table(item.fact, item.spread, state.facts.values)
        pieces = (text[state.position : state.position + length] for length in numbers.lengths)
        return [numbers.by_text[piece] for piece in pieces if piece in numbers.by_text]
    letter = text[state.position : state.position + 1]
    return [
        weighted
        for weighted in grammar.starting(item, state.facts, letter)
        if not weighted[1].body
        or not isinstance(first := weighted[1].body[0], Literal)
        or text.startswith(first.text, state.position)
    ]


def describe(facts: Facts) -> tuple[str, str, str]:
    """Specialty, diagnosis and severity of a note."""
    return facts.values["spec"], facts.values["dx"], facts.values["sev"]
