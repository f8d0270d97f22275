"""What a grammar is made of, and how probable each way on from a point is.

A note is derived from left to right. The state of a derivation is a stack of items still to be
written and the facts fixed so far in this note (sex, age, diagnosis, ...). An item is either
plain text, bookkeeping without text, or a decision; the ways on from a decision are options
whose weights may depend on the facts:

    p(option | facts) = weight(option, facts) / sum of the weights of the options allowed by facts

The sampler and the parser both ask `Grammar.weighted` for these, so they cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clinical_notes.numbers import Spread, table


class Facts(NamedTuple):
    """What is fixed in this note: named values (all kept as text), and options that are spent."""

    values: Mapping[str, str]
    spent: frozenset[tuple[str, int]]


NO_FACTS = Facts({}, frozenset())


@dataclass(frozen=True)
class Condition:
    """A test on one fact: `sex=f`, `age>65`, `dx!=gout,lupus`, `fever` (set), `!fever` (unset)."""

    fact: str
    relation: str
    against: tuple[str, ...]

    def holds(self, facts: Facts) -> bool:
        value = facts.values.get(self.fact, "")
        match self.relation:
            case "=":
                return value in self.against
            case "!=":
                return value not in self.against
            case ">":
                return value != "" and float(value) > float(self.against[0])
            case _:
                return value != "" and float(value) < float(self.against[0])

    def excludes(self, other: "Condition") -> bool:
        """Never both true of the same facts (False where that is not plain to see)."""
        if self.fact != other.fact:
            return False
        relations = {self.relation: self, other.relation: other}
        if self.relation == other.relation == "=":
            return not set(self.against) & set(other.against)
        if relations.keys() == {"=", "!="}:
            return set(relations["="].against) <= set(relations["!="].against)
        if relations.keys() == {"<", ">"}:
            # Whole numbers are not assumed: x > 3 and x < 4 can both hold.
            return float(relations[">"].against[0]) >= float(relations["<"].against[0])
        if "=" in relations and relations.keys() & {"<", ">"}:
            bound = relations.get("<") or relations[">"]
            values = [v for v in relations["="].against if v != ""]
            return not any(bound.holds(Facts({bound.fact: v}, frozenset())) for v in values)
        return False


@dataclass(frozen=True, eq=False)
class Literal:
    """Text written as it stands."""

    text: str


@dataclass(frozen=True, eq=False)
class Mark:
    """Changes the text that follows: `^` capitalises it, `a` and `A` put its article before it."""

    kind: str


@dataclass(frozen=True, eq=False)
class Echo:
    """Text that follows from the facts: a value seen before, or one computed (0 bits)."""

    expression: str
    render: str


@dataclass(frozen=True, eq=False)
class Assign:
    """Copies one fact under another name; writes nothing."""

    target: str
    source: str


@dataclass(frozen=True, eq=False)
class Capture:
    """Begins (`end` False) or ends keeping the text written in between as a fact."""

    fact: str
    end: bool


@dataclass(frozen=True, eq=False)
class Reference:
    """A rule by name; where `by` is given, the variant named by the value of that fact."""

    name: str
    by: str = ""


@dataclass(frozen=True, eq=False)
class Number:
    """A number drawn from a spread, kept as a fact where it has a name."""

    fact: str
    spread: Spread


@dataclass(frozen=True, eq=False)
class Repeat:
    """`lowest` to `highest` times a rule, each count equally likely, joined as a list."""

    reference: Reference
    lowest: int
    highest: int
    joiner: str


@dataclass(frozen=True, eq=False)
class Option:
    """One way on: weight (or the fact that holds it), conditions, factors, new facts, text."""

    weight: float | str
    body: "Body"
    conditions: tuple[Condition, ...] = ()
    factors: tuple[tuple[float, Condition], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def excludes(self, other: "Option") -> bool:
        return any(a.excludes(b) for a in self.conditions for b in other.conditions)


@dataclass(frozen=True, eq=False)
class Choice:
    """A decision. `name` is empty for one written inside a text; `once`: an option is spent by
    use for the rest of the note; `hidden`: its options show only later in the text."""

    name: str
    options: tuple[Option, ...]
    once: bool = False
    hidden: bool = False


Decision = Reference | Number | Repeat | Choice
Item = Literal | Mark | Echo | Assign | Capture | Decision
Body = tuple[Item, ...]
Weighted = tuple[float, Option]

COMMA = Literal(", ")
JOINERS = {
    " ": (Literal(" "), Literal(" ")),
    "\n": (Literal("\n"), Literal("\n")),
    ",": (COMMA, COMMA),
    "and": (COMMA, Literal(" and ")),
    "or": (COMMA, Literal(" or ")),
    ";": (Literal("; "), Literal("; ")),
}


def _opening(option: Option) -> str:
    """The first letter of an option that begins with plain text, else ''."""
    first = option.body[0] if option.body else None
    return first.text[:1] if isinstance(first, Literal) else ""


class DeadEndError(Exception):
    """No option is allowed here: a mistake in the grammar, never in a text."""


class Grammar:
    """Rules by name. A variant `name@key` serves instead of `name` where it applies."""

    def __init__(self, rules: Mapping[str, Choice]) -> None:
        self.rules = dict(rules)
        self._variants: dict[str, list[Choice]] = {}
        for name, rule in self.rules.items():
            self._variants.setdefault(name.split("@")[0], []).append(rule)
        self._repeats: dict[Repeat, tuple[Option, ...]] = {}
        self._fixed: dict[Decision, list[Weighted]] = {}  # of choices that no fact can change
        self._by_letter: dict[Decision, dict[str, list[Weighted]]] = {}

    def rule(self, reference: Reference, facts: Facts) -> Choice:
        """The variant for the fact asked for; else for the diagnosis, the specialty, or none."""
        keys = (reference.by,) if reference.by else ("dx", "spec")
        for key in keys:
            found = self.rules.get(f"{reference.name}@{facts.values.get(key, '')}")
            if found is not None:
                return found
        if reference.name not in self.rules:
            raise DeadEndError(f"no rule for {reference.name} by {keys} in {dict(facts.values)}")
        return self.rules[reference.name]

    def variants(self, name: str) -> list[Choice]:
        """All rules that a reference to `name` can come to mean."""
        return self._variants[name]

    def weighted(self, item: Decision, facts: Facts) -> list[Weighted]:
        """The allowed options with their probabilities, which sum to one."""
        if isinstance(item, Number):
            return table(item.fact, item.spread, facts.values).outcomes
        if isinstance(item, Reference):
            item = self.rule(item, facts)
        if isinstance(item, Repeat):
            available = len(self.weighted(item.reference, facts))
            counts = [*range(item.lowest, item.highest + 1)]
            # A spent-by-use rule may hold fewer options than the list may have entries.
            if self.rule(item.reference, facts).once:
                counts = [n for n in counts if n <= available]
            if not counts:
                raise DeadEndError(f"too few options left for {item.reference.name}")
            options = self.repeat_options(item)
            return [(1 / len(counts), options[n - item.lowest]) for n in counts]
        if item in self._fixed:
            return self._fixed[item]
        weights = [
            (self._weight(option, facts), option)
            for index, option in enumerate(item.options)
            if not (item.once and (item.name, index) in facts.spent)
        ]
        total = sum(weight for weight, _ in weights)
        if total <= 0:
            raise DeadEndError(f"no option of {item.name or item.options} in {dict(facts.values)}")
        weighted = [(weight / total, option) for weight, option in weights if weight > 0]
        if not item.once and not any(
            o.conditions or o.factors or isinstance(o.weight, str) for o in item.options
        ):
            self._fixed[item] = weighted
        return weighted

    def starting(self, item: Decision, facts: Facts, letter: str) -> list[Weighted]:
        """Those of `weighted` whose text can begin with `letter` (an end of text is '')."""
        choice = self.rule(item, facts) if isinstance(item, Reference) else item
        if choice not in self._fixed:
            return [w for w in self.weighted(item, facts) if _opening(w[1]) in ("", letter)]
        if choice not in self._by_letter:
            fixed = self._fixed[choice]
            letters = {_opening(option) for _, option in fixed} | {""}
            self._by_letter[choice] = {
                known: [w for w in fixed if _opening(w[1]) in ("", known)] for known in letters
            }
        by_letter = self._by_letter[choice]
        return by_letter.get(letter, by_letter[""])

    def after(self, item: Decision, option: Option, facts: Facts) -> Facts:
        """The facts once `option` has been taken at `item`."""
        values, spent = facts
        if option.settings:
            values = {**values, **dict(option.settings)}
        if isinstance(item, Reference):
            item = self.rule(item, facts)
        if isinstance(item, Choice) and item.once:
            spent = spent | {(item.name, item.options.index(option))}
        return Facts(values, spent)

    def repeat_options(self, item: Repeat) -> tuple[Option, ...]:
        """One option for each count from `lowest` to `highest`."""
        if item not in self._repeats:
            between, last = JOINERS[item.joiner]
            options = []
            for count in range(item.lowest, item.highest + 1):
                body: list[Item] = [item.reference]
                for entry in range(1, count):
                    body += [last if entry == count - 1 else between, item.reference]
                options.append(Option(1, tuple(body)))
            self._repeats[item] = tuple(options)
        return self._repeats[item]

    @staticmethod
    def _weight(option: Option, facts: Facts) -> float:
        if not all(condition.holds(facts) for condition in option.conditions):
            return 0.0
        weight = option.weight
        number = float(facts.values[weight]) if isinstance(weight, str) else weight
        for factor, condition in option.factors:
            if condition.holds(facts):
                number *= factor
        return number
