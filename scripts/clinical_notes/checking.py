"""Is the grammar unambiguous? A proof by comparison, option against option.

At every decision, no text of one option (with what follows it in its rule) may be equal to, or
the beginning of, a text of another. Then the text itself says which option was taken, from left
to right, and no text has two derivations under the same hidden case. The comparison ignores
conditions inside the options, so it errs only towards complaint. Options whose conditions
exclude each other are not compared, nor are those of hidden rules: their facts are certified by
`clashing_verdicts`.

Where both sides come to the same rule at the same time, both must write the same text for it if
no text of that rule begins another (`_certain`); the comparison goes on behind it.
"""

from collections.abc import Iterator
from itertools import combinations

from clinical_notes.derivation import Cell, marked, push
from clinical_notes.grammar import (
    Assign,
    Body,
    Capture,
    Choice,
    Decision,
    Echo,
    Grammar,
    Item,
    Literal,
    Mark,
    Number,
    Option,
    Reference,
    Repeat,
)
from clinical_notes.numbers import WIDEST, depends_on_facts, show, table

Point = tuple[str, str, Cell | None]  # text not yet compared, mark waiting, what follows


def _pairs(options: tuple[Option, ...]) -> Iterator[tuple[Option, Option]]:
    """All pairs but those that differ at a glance."""
    plain, other = [], []
    for option in options:
        first = option.body[0] if option.body else None
        if isinstance(first, Literal):
            plain.append((first.text, option))
        else:
            other.append(option)
    plain.sort(key=lambda pair: pair[0])
    for i, (text, option) in enumerate(plain):
        # In sorted order, the texts that begin with this one follow it without a gap.
        for longer, beside in plain[i + 1 :]:
            if not longer.startswith(text):
                break
            yield option, beside
        for beside in other:
            yield option, beside
    yield from combinations(other, 2)


class Checker:
    """Compares what the options of a grammar can write."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._numbers: dict[Number, tuple[Option, ...]] = {}
        self._certainties: dict[tuple[str, str], bool] = {}

    def clashes(self, skip: frozenset[str] = frozenset()) -> list[str]:
        """Every decision at which two options are not told apart, with the text they share.

        `skip` leaves rules out, for a quick look.
        """
        found = []
        for name, rule in self.grammar.rules.items():
            if name in skip:
                continue
            for options, rest in self._decisions(rule):
                for one, other in _pairs(options):
                    if one.excludes(other):
                        continue
                    shared = self.shared(one.body, other.body, rest)
                    if shared is not None:
                        found.append(f"{name}: {shared!r}")
        return found

    def clashing_verdicts(self) -> list[str]:
        """Names of different diagnoses, or degrees, of which one begins the other.

        The assessment stands behind a heading of its own, and its wording is chosen by options
        that are told apart whatever the case; then follow degree and name. So if these cannot
        be confused, a text cannot belong to two hidden cases.
        """
        degrees = self._options(Reference("degree"))
        found = [
            f"degree: {shared!r}"
            for one, other in _pairs(degrees)
            if (shared := self.shared(one.body, other.body, None)) is not None
        ]
        names = [rule for rule in self.grammar.variants("name") if rule.name != "name"]
        bodies = [(rule.name, option.body) for rule in names for option in rule.options]
        return found + [
            f"{a} and {b}: {shared!r}"
            for i, (a, one) in enumerate(bodies)
            for b, other in bodies[i + 1 :]
            if a != b and (shared := self.shared(one, other, None)) is not None
        ]

    def _certain(self, name: str, by: str) -> bool:
        """No text of the rule is a proper beginning of another, under any facts whatever.

        Variants by diagnosis are the same on both sides, so each is looked at alone; variants
        by another fact (`by`) are taken together.
        """
        key = (name, by)
        if key not in self._certainties:
            variants = self.grammar.variants(name)
            decisions = [found for rule in variants for found in self._decisions(rule)]
            if by:
                decisions.append((self._options(Reference(name)), None))
            inner = {
                (item.name, item.by)
                for options, _ in decisions
                for option in options
                for item in option.body
                if isinstance(item, Reference)
            }
            self._certainties[key] = (
                not any(rule.hidden for rule in variants)
                and all(self._certain(*reference) for reference in inner)
                and not any(
                    self.shared(one.body, other.body, rest, proper=True) is not None
                    for options, rest in decisions
                    for one, other in _pairs(options)
                )
            )
        return self._certainties[key]

    @staticmethod
    def _at_rule(point: Point) -> bool:
        """At a rule, and so better held back until the other side has come to one too."""
        return point[2] is not None and isinstance(point[2].item, Reference)

    def _same_rule(self, a: Point, b: Point) -> bool:
        if a[2] is None or b[2] is None or a[1] != b[1]:
            return False
        one, other = a[2].item, b[2].item
        return (
            isinstance(one, Reference)
            and isinstance(other, Reference)
            and (one.name, one.by) == (other.name, other.by)
            and self._certain(one.name, one.by)
        )

    def _decisions(self, rule: Choice) -> Iterator[tuple[tuple[Option, ...], Cell | None]]:
        """Each decision in a rule with what follows it there."""
        if not rule.hidden:
            yield rule.options, None
        todo: list[tuple[Body, Cell | None]] = [(option.body, None) for option in rule.options]
        while todo:
            body, after = todo.pop()
            for at, item in enumerate(body):
                rest = push(body[at + 1 :], after)
                if isinstance(item, Choice):
                    yield item.options, rest
                    todo += [(option.body, rest) for option in item.options]
                elif isinstance(item, Number | Repeat):
                    yield self._options(item), rest

    def _options(self, item: Decision) -> tuple[Option, ...]:
        """Whatever a decision can lead to, under any facts."""
        if isinstance(item, Choice):
            return item.options
        if isinstance(item, Repeat):
            return self.grammar.repeat_options(item)
        if isinstance(item, Reference):
            variants = self.grammar.variants(item.name)
            return tuple(option for rule in variants for option in rule.options)
        if item not in self._numbers:
            spread = item.spread
            if depends_on_facts(spread):
                assert spread.places == 0, f"whole numbers only: {spread}"
                texts = sorted({show(str(n), spread.render) for n in WIDEST[spread.render]})
                self._numbers[item] = tuple(Option(1, (Literal(text),)) for text in texts)
            else:
                outcomes = table(item.fact, spread, {}).outcomes
                self._numbers[item] = tuple(option for _, option in outcomes)
        return self._numbers[item]

    def shared(self, one: Body, other: Body, rest: Cell | None, proper: bool = False) -> str | None:
        """A text of `one` that begins a text of `other`, or the reverse; None if there is none.

        `proper`: equal texts do not count.
        """
        todo: list[tuple[Point, Point, str]] = [
            (("", "", push(one, rest)), ("", "", push(other, rest)), "")
        ]
        seen = set()
        while todo:
            a, b, common = todo.pop()
            if (a, b) in seen:
                continue
            seen.add((a, b))
            if a[0] and b[0]:
                length = min(len(a[0]), len(b[0]))
                if a[0][:length] == b[0][:length]:
                    left = (a[0][length:], *a[1:]), (b[0][length:], *b[1:])
                    todo.append((*left, common + a[0][:length]))
            elif (not a[0] and a[2] is None) or (not b[0] and b[2] is None):
                if not (proper and self._over(a) and self._over(b)):
                    return common
            elif not a[0] and not b[0] and self._same_rule(a, b):
                assert a[2] is not None and b[2] is not None
                todo.append((("", "", a[2].rest), ("", "", b[2].rest), f"{common}..."))
            elif not a[0] and (b[0] or not self._at_rule(a) or self._at_rule(b)):
                todo += [(next_a, b, common) for next_a in self._onward(a)]
            else:
                todo += [(a, next_b, common) for next_b in self._onward(b)]
        return None

    def _over(self, point: Point) -> bool:
        """Nothing but bookkeeping is left."""
        text, _, cell = point
        while cell is not None and isinstance(cell.item, Assign | Capture | Mark):
            cell = cell.rest
        return not text and cell is None

    def _onward(self, point: Point) -> list[Point]:
        """The points that follow one whose text is used up."""
        _, mark, cell = point
        assert cell is not None
        item: Item = cell.item
        match item:
            case Literal():
                if mark and item.text:
                    return [(marked(mark, item.text), "", cell.rest)]
                return [(item.text, mark, cell.rest)]
            case Echo():
                # One fact has one value: the same echo on both sides is the same text.
                return [(f"\0{item.expression} {item.render}\0", "", cell.rest)]
            case Mark():
                return [("", item.kind, cell.rest)]
            case Assign() | Capture():
                return [("", mark, cell.rest)]
        return [("", mark, push(option.body, cell.rest)) for option in self._options(item)]
