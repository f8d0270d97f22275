r"""Reading grammar files.

    # a comment
    once detail finding               these rules spend an option by using it
    hidden case                       options of these show only later in the text
    degree                            a rule; its options follow, indented
      3 ?sev=1 *2?age>70 k=v | text   weight, condition, factor under a condition, new fact | text
    name@gout                         the variant of `name` for dx, spec (or another fact) = gout

      .. text                         goes on with the text (or the head) of the option above
      ~ oak ash red_maple           several options of one word each (_ stands for a blank)

A weight is a number (1 where absent) or `%fact`, the number which that fact holds. In a text:

    {name}  {name@fact}          a rule; the variant by the value of a fact
    {name>fact}                  a rule, and its text kept as a fact
    {^name}  {a}  {A}            capitalise what follows; its article before it
    {name*2-4,and}               two to four of a rule: `a, b and c`; also or, a comma, a semicolon,
                                 a blank or `\n` where nothing is said
    {#fact 60..90 step 2 flat}   a number, kept as a fact (`{# 60..90}`: not kept)
    {#day 0..900 as longdate}    shown as a date, clock or word
    {=fact}  {=a+b as longdate}  what follows from facts
    {!a=b}                       fact a is set to fact b
    <this|that^3|>               a choice within the text; weights after ^; empty means nothing
"""

import re
from pathlib import Path

from clinical_notes.grammar import (
    Assign,
    Body,
    Capture,
    Choice,
    Condition,
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
from clinical_notes.numbers import Spread

_CONDITION = re.compile(r"^(!?)(\w+)(?:(!=|=|>|<)(.*))?$")
_REFERENCE = re.compile(r"^(\^?)(\w+)(?:@(\w+))?(?:>(\w+))?(?:\*(\d+)-(\d+)(.*))?$", re.DOTALL)
_NUMBER = re.compile(r"^#(\w*) (\S+?)\.\.(\S+)(?: step ([\d.]+))?( flat)?(?: as (\w+))?$")


class NotationError(Exception):
    """A grammar file that does not read; the message says where."""


def read(paths: list[Path]) -> Grammar:
    """The grammar of several files. A rule may be given once only."""
    flags: dict[str, set[str]] = {"once": set(), "hidden": set()}
    lines: dict[str, list[str]] = {}
    for path in paths:
        name = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if line.lstrip().startswith(".. "):
                more = line.strip().removeprefix(".. ")
                lines[name][-1] += more if "|" in lines[name][-1] else f" {more}"
                continue
            if line.startswith("  "):
                lines[name].append(line.strip(" "))
                continue
            word, *rest = line.split()
            if word in flags and rest:
                flags[word].update(rest)
                continue
            if rest or word in lines:
                raise NotationError(f"{path.name}:{number}: a second rule {line!r}")
            name = word
            lines[name] = []
    return Grammar(
        {
            name: Choice(
                name,
                tuple(option for line in options for option in _options(line, name)),
                once=name.split("@")[0] in flags["once"],
                hidden=name.split("@")[0] in flags["hidden"],
            )
            for name, options in lines.items()
        }
    )


def _options(line: str, where: str) -> list[Option]:
    if line.startswith("~ "):
        return [_option(f"| {word.replace('_', ' ')}", where) for word in line[2:].split()]
    return [_option(line, where)]


def _option(line: str, where: str) -> Option:
    head, bar, text = line.partition("|")
    if not bar:
        raise NotationError(f"{where}: no | in {line!r}")
    weight: float | str = 1.0
    conditions, factors, settings = [], [], []
    for word in head.split():
        if word[0] == "?":
            conditions.append(_condition(word[1:]))
        elif word[0] == "*":
            factor, _, condition = word[1:].partition("?")
            factors.append((float(factor), _condition(condition)))
        elif word[0] == "%":
            weight = word[1:]
        elif "=" in word:
            fact, _, value = word.partition("=")
            settings.append((fact, value))
        else:
            weight = float(word)
    body = _body(text.removeprefix(" ").replace("\\n", "\n"), where)
    return Option(weight, body, tuple(conditions), tuple(factors), tuple(settings))


def _condition(text: str) -> Condition:
    match = _CONDITION.match(text)
    if match is None:
        raise NotationError(f"no condition: {text!r}")
    negated, fact, relation, against = match.groups()
    if relation is None:
        return Condition(fact, "=" if negated else "!=", ("",))
    return Condition(fact, relation, tuple(against.split(",")))


def _body(text: str, where: str) -> Body:
    items: list[Item] = []
    at = 0
    while at < len(text):
        if text[at] in "{<":
            stop = _closing(text, at, where)
            inner = text[at + 1 : stop]
            items += _braced(inner, where) if text[at] == "{" else [_inline(inner, where)]
            at = stop + 1
        else:
            match = re.compile(r"[^{<]+").match(text, at)
            assert match is not None
            items.append(Literal(match[0]))
            at = match.end()
    return tuple(items)


def _closing(text: str, at: int, where: str) -> int:
    """Where the bracket that opens at `at` closes. `>` inside braces is not a bracket."""
    if text[at] == "{":
        stop = text.find("}", at)
        if stop < 0:
            raise NotationError(f"{where}: unclosed brace in {text!r}")
        return stop
    depth = 0
    while at < len(text):
        if text[at] == "{":
            at = _closing(text, at, where)
        depth += (text[at] == "<") - (text[at] == ">")
        if depth == 0:
            return at
        at += 1
    raise NotationError(f"{where}: unclosed bracket in {text!r}")


def _inline(inner: str, where: str) -> Choice:
    parts, depth, last, at = [], 0, 0, 0
    while at < len(inner):
        if inner[at] == "{":
            at = _closing(inner, at, where)
        depth += (inner[at] == "<") - (inner[at] == ">")
        if inner[at] == "|" and depth == 0:
            parts.append(inner[last:at])
            last = at + 1
        at += 1
    parts.append(inner[last:])
    options = []
    for part in parts:
        match = re.search(r"\^([\d.]+)$", part)
        weight = float(match[1]) if match else 1.0
        options.append(Option(weight, _body(part[: match.start()] if match else part, where)))
    return Choice("", tuple(options))


def _braced(inner: str, where: str) -> list[Item]:
    if inner in ("a", "A"):
        return [Mark(inner)]
    if inner[0] == "=":
        expression, _, render = inner[1:].partition(" as ")
        return [Echo(expression, render)]
    if inner[0] == "!":
        target, _, source = inner[1:].partition("=")
        return [Assign(target, source)]
    if inner[0] == "#":
        return [_number(inner, where)]
    match = _REFERENCE.match(inner)
    if match is None:
        raise NotationError(f"{where}: {{{inner}}} is not understood")
    capital, name, by, fact, lowest, highest, joiner = match.groups()
    reference = Reference(name, by or "")
    item: Item = reference
    if lowest:
        item = Repeat(reference, int(lowest), int(highest), _joiner(joiner))
    items: list[Item] = [Mark("^")] if capital else []
    return [*items, Capture(fact, False), item, Capture(fact, True)] if fact else [*items, item]


def _joiner(written: str) -> str:
    return (written.lstrip(",") or written) or " "


def _number(inner: str, where: str) -> Number:
    match = _NUMBER.match(inner)
    if match is None:
        raise NotationError(f"{where}: {{{inner}}} is not a number")
    fact, low, high, step, flat, render = match.groups()
    # As many places as the bound or the step is written with.
    shown = step or (low if low[0].isdigit() else high)
    places = len(shown.partition(".")[2]) if shown[0].isdigit() else 0
    return Number(
        fact, Spread(low, high, float(step or 10**-places), places, bool(flat), render or "")
    )
