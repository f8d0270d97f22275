"""Is the grammar unambiguous? A proof by comparison, option against option.

At every decision, no text of one option (with what follows it in its rule) may be equal to, or
the beginning of, a text of another. Then the text itself says which option was taken, from left
to right, and no text has two derivations under the same hidden case. The comparison ignores
conditions inside the options, so it errs only towards complaint. Options whose conditions
exclude each other are not compared, nor are those of hidden rules: their facts are certified by
`clashing_verdicts`.
"""

from collections.abc import Iterator

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
from clinical_notes.numbers import depends_on_facts, table

Point = tuple[str, str, Cell | None]  # text not yet compared, mark waiting, what follows
ANY_NUMBER = tuple(Option(1, (Literal(str(n)),)) for n in range(400))


class Checker:
    """Compares what the options of a grammar can write."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._numbers: dict[Number, tuple[Option, ...]] = {}

    def clashes(self) -> list[str]:
        """Every decision at which two options are not told apart, with the text they share."""
        found = []
        for name, rule in self.grammar.rules.items():
            for options, rest in self._decisions(rule):
                for i, one in enumerate(options):
                    for other in options[i + 1 :]:
                        if one.excludes(other):
                            continue
                        shared = self.shared(one.body, other.body, rest)
                        if shared is not None:
                            found.append(f"{name}: {shared!r}")
        return found

    def clashing_verdicts(self) -> list[str]:
        """Pairs of names of different diagnoses, one a beginning of the other."""
        names = [rule for rule in self.grammar.variants("name") if rule.name != "name"]
        bodies = [(rule.name, option.body) for rule in names for option in rule.options]
        return [
            f"{a} and {b}: {shared!r}"
            for i, (a, one) in enumerate(bodies)
            for b, other in bodies[i + 1 :]
            if a != b and (shared := self.shared(one, other, None)) is not None
        ]

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
            self._numbers[item] = (
                ANY_NUMBER
                if depends_on_facts(item.spread)
                else tuple(option for _, option in table(item.fact, item.spread, {}).outcomes)
            )
        return self._numbers[item]

    def shared(self, one: Body, other: Body, rest: Cell | None) -> str | None:
        """A text of `one` that begins a text of `other`, or the reverse; None if there is none."""
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
                return common
            elif not a[0]:
                todo += [(next_a, b, common) for next_a in self._onward(a)]
            else:
                todo += [(a, next_b, common) for next_b in self._onward(b)]
        return None

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
