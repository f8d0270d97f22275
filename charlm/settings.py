"""What one setting is: its meaning, its range, and how a value given for it is read.

A setting is a dataclass field annotated with `Setting`. From that one line come the
command-line option, its help, the TOML key, the range check and the error message.
"""

import math
import re
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from charlm.errors import UsageError

AUTO: Any = "auto"  # chosen from corpus, budget and machine when training starts


class BadValue(ValueError):
    """A value outside a setting's range; the message says what was needed."""


@dataclass(frozen=True)
class Setting:
    """Meaning and range of one setting.

    `least` and `most` are inclusive, `above` and `below` exclusive. `auto` and `none`
    say whether the words "auto" and "none" are values. `choices` closes the set of words.
    `rising` is of a text: whole numbers from 1, each above the one before, with commas between.
    `identity` is False for what may change when a run is resumed (budget, threads, reports).
    """

    help: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    auto: bool = False
    none: bool = False
    identity: bool = True
    rising: bool = False

    def needed(self, kind: type) -> str:
        """The range in words, for messages and help."""
        if self.choices:
            words = " | ".join(self.choices)
        elif kind is bool:
            words = "true | false"
        elif self.rising:
            words = "rising whole numbers with commas between, as 2000,10000"
        elif kind is str:
            words = "a text that UTF-8 can hold"
        else:
            words = "a whole number" if kind is int else "a number"
            low = f"from {self.least:g}" if self.least is not None else ""
            low = f"above {self.above:g}" if self.above is not None else low
            high = f"to {self.most:g}" if self.most is not None else ""
            high = f"below {self.below:g}" if self.below is not None else high
            words = " ".join(part for part in (words, low, high) if part)
        extra = [word for word, there in (("auto", self.auto), ("none", self.none)) if there]
        return ", or ".join([words, *extra])

    def read(self, value: Any, kind: type) -> Any:
        """`value` (a word from the command line, or a TOML value) as a `kind`.

        Raises BadValue with what was needed.
        """
        if (self.auto and value == "auto") or (self.none and value is None):
            return value
        if self.none and value == "none":
            return None
        try:
            result = _convert(value, kind)
        except (ValueError, OverflowError) as error:
            raise BadValue(self.needed(kind)) from error
        if self.choices and result not in self.choices:
            near = get_close_matches(str(result), self.choices, 1)
            raise BadValue(self.needed(kind) + (f" (did you mean {near[0]}?)" if near else ""))
        if kind in (int, float) and not self._inside(result):
            raise BadValue(self.needed(kind))
        if self.rising and not _is_rising(result):
            raise BadValue(self.needed(kind))
        return result

    def _inside(self, number: float) -> bool:
        return (
            (abs(number) < 2**128 if isinstance(number, int) else math.isfinite(number))
            and (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


def _is_rising(text: str) -> bool:
    if not re.fullmatch(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", text):
        return False
    numbers = [int(part) for part in text.split(",")]
    return all(a < b for a, b in pairwise(numbers))


def _convert(value: Any, kind: type) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        words = {"true": True, "false": False}
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise ValueError(value)
    if isinstance(value, bool):
        raise ValueError(value)
    if kind is str:
        if not isinstance(value, str):
            raise ValueError(value)
        value.encode()  # UnicodeEncodeError, a ValueError, for what no settings file can hold
        return value
    if kind is int and isinstance(value, float):
        if not value.is_integer():
            raise ValueError(value)
        return int(value)
    if not isinstance(value, int | float | str):
        raise ValueError(value)
    return kind(value)


@dataclass(frozen=True)
class Field:
    """One setting with its place: `model.hidden_size`, an int, its default."""

    section: str
    name: str
    kind: type
    setting: Setting
    default: Any

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


def settings_in(kind: type, section: str = "") -> list[Field]:
    """The fields of a dataclass that are annotated with a `Setting`, in order of declaration."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for field in fields(kind):
        annotation = hints[field.name]
        if get_origin(annotation) is Annotated:
            kinds, setting = get_args(annotation)[:2]
            one = next((k for k in get_args(kinds) if k is not type(None)), kinds)
            found.append(Field(section, field.name, one, setting, field.default))
    return found


def read_settings(values: Any, hint: str) -> None:
    """Put every `Setting` of a frozen dataclass through its range; UsageError names the option."""
    for field in settings_in(type(values)):
        given = getattr(values, field.name)
        try:
            value = field.setting.read(given, field.kind)
        except BadValue as error:
            raise UsageError(f"{field.option} is {given}; needed: {error}", hint) from error
        object.__setattr__(values, field.name, value)


def fields_of(config_type: type) -> dict[str, Field]:
    """Every setting of a configuration by its dotted key, in order of declaration."""
    return _fields_of(config_type)


@cache
def _fields_of(config_type: type) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for section in fields(config_type):
        section_type = section.type
        assert isinstance(section_type, type) and is_dataclass(section_type)
        entries = settings_in(section_type, section.name)
        assert len(entries) == len(fields(section_type)), f"{section.name}: not all are settings"
        found |= {entry.key: entry for entry in entries}
    return found


def nearest(word: str, words: list[str]) -> str:
    """' (did you mean X?)' for the nearest of `words`, or nothing."""
    near = get_close_matches(word, words, 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""
