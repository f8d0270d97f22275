"""Numbers, dates and what follows from them: spreads, their tables, and the text of a value."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clinical_notes.grammar import Option

FIRST_DAY = datetime.date(2021, 1, 4)
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
# What a number that depends on facts may be, by the way it is shown. A clock may run past
# midnight.
WIDEST = {"": range(17, 400), "clock": range(2880), "longdate": range(1400)}
_BOUND = re.compile(r"^(?:([a-z_]\w*)(?:\*([\d.]+))?)?([+-]?[\d.]+)?$")


@dataclass(frozen=True)
class Spread:
    """Values from `low` to `high` by `step`; bell-shaped unless flat.

    With K values, value k = 1..K has weight min(k, K + 1 - k) (a triangle), or 1 where flat.
    A bound is a number or `fact*factor+number`, so that one value can follow another.
    """

    low: str
    high: str
    step: float
    places: int
    flat: bool
    render: str


@dataclass(frozen=True)
class Table:
    """All outcomes of a spread with their probabilities, and the same by text."""

    outcomes: "list[tuple[float, Option]]"
    by_text: "dict[str, tuple[float, Option]]"
    lengths: tuple[int, ...]


@cache
def _parts(expression: str) -> tuple[str, float, float]:
    match = _BOUND.match(expression)
    assert match is not None, expression
    fact, factor, plus = match.groups()
    return fact or "", float(factor or 1), float(plus or 0)


def bound(expression: str, values: Mapping[str, str]) -> float:
    """The number that `fact*factor+number` stands for."""
    fact, factor, plus = _parts(expression)
    return float(values[fact]) * factor + plus if fact else plus


@cache
def depends_on_facts(spread: Spread) -> bool:
    return spread.low[0].isalpha() or spread.high[0].isalpha()


def table(fact: str, spread: Spread, values: Mapping[str, str]) -> Table:
    """The outcomes under these facts; raises ValueError where the range is empty."""
    low, high = bound(spread.low, values), bound(spread.high, values)
    if depends_on_facts(spread):
        widest = WIDEST[spread.render]
        assert widest.start <= round(low) and round(high) < widest.stop, (spread, low, high)
    return _table(fact, spread, low, high)


@cache
def _table(fact: str, spread: Spread, low: float, high: float) -> Table:
    from clinical_notes.grammar import Literal, Option

    first, last = round(low / spread.step), round(high / spread.step)
    if first > last:
        raise ValueError(f"empty range {low} to {high} for {fact or 'a number'}")
    count = last - first + 1
    weights = [1 if spread.flat else min(k, count + 1 - k) for k in range(1, count + 1)]
    total = sum(weights)
    by_text = {}
    for k, weight in enumerate(weights):
        value = f"{(first + k) * spread.step:.{spread.places}f}"
        text = show(value, spread.render)
        assert text not in by_text, (spread, text)  # a text must give its value back
        settings = ((fact, value),) if fact else ()
        by_text[text] = (weight / total, Option(weight, (Literal(text),), settings=settings))
    lengths = tuple(sorted({len(text) for text in by_text}))
    return Table([*by_text.values()], by_text, lengths)


def show(value: str, render: str) -> str:
    """The text of a value: as it is, in words, or as the date that many days after the first."""
    match render:
        case "":
            return value
        case "words":
            return WORDS[int(value)]
        case "clock":
            return f"{int(value) // 60 % 24:02d}:{int(value) % 60:02d}"
    day = FIRST_DAY + datetime.timedelta(days=int(value))
    if render == "longdate":
        return f"{day.day} {day:%B} {day.year}"
    if render == "shortdate":
        return f"{day:%d/%m/%y}"
    assert render == "isodate", render
    return day.isoformat()


def echo(expression: str, render: str, values: Mapping[str, str]) -> str:
    """The text that follows from the facts: a value, a sum of values, or the body mass index."""
    if expression == "bmi":
        # BMI = kg / m^2, to one place.
        return f"{float(values['weight']) / (float(values['height']) / 100) ** 2:.1f}"
    if "+" in expression:
        value = str(sum(int(values[name]) for name in expression.split("+")))
    else:
        value = values[expression]
    return show(value, render)


def with_article(text: str) -> str:
    """`text` with a or an before it, as it is spoken: an 81-year-old, an ECG, a one-week course."""
    word = re.split(r"[\s,.;-]", text, maxsplit=1)[0]
    digits = re.match(r"\d+", word)
    if digits:
        spoken = digits[0]
        vowel = spoken.startswith("8") or spoken in ("11", "18")
    elif len(word) > 1 and word.isupper():
        vowel = word[0] in "AEFHILMNORSX"
    else:
        vowel = word[0].lower() in "aeiou" and not re.match(r"(?i)one|uni|use|uro|eu", word)
    return f"{'an' if vowel else 'a'} {text}"
