"""What in a text a unit may follow: a number for each of its characters, N of them.

Each is what a reader who has come so far knows, the character itself included.
"""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from charlm import registry
from charlm.errors import UsageError

Followed = npt.NDArray[np.float64]  # (N,)

_OPENING, _CLOSING = "([{", ")]}"


def detected(what: str, text: str) -> Followed:
    """The detector of that name, or where the regular expression `what` matches.

    UsageError where it is neither.
    """
    if what in registry.DETECTORS:
        found: Followed = registry.resolve(registry.DETECTORS, what)(text)
        return found
    try:
        matches = regex.finditer(what, text, flags=regex.MULTILINE)
    except regex.error as error:
        raise UsageError(
            f"--follow {what} is no regular expression: {error}",
            f"Give one, or all, or one of: {', '.join(registry.DETECTORS)}.",
        ) from error
    inside = np.zeros(len(text))
    for match in matches:
        inside[match.start() : match.end()] = 1
    return inside


def quotes(text: str) -> Followed:
    """1 between double quotation marks, which an empty line closes too."""
    inside, found, before = False, [], ""
    for character in text:
        if character == '"':
            inside = not inside
        elif character in "“”":
            inside = character == "“"
        elif before == character == "\n":
            inside = False
        found.append(inside)
        before = character
    return np.array(found, np.float64)


def brackets(text: str) -> Followed:
    """How many brackets are open."""
    steps = ((c in _OPENING) - (c in _CLOSING) for c in text)
    depths: Any = itertools.accumulate(steps, lambda depth, step: max(0, depth + step))
    return np.fromiter(depths, np.float64)


def line_position(text: str) -> Followed:
    """Characters since the last line break."""
    return _since(text, lambda character: character == "\n")


def word_position(text: str) -> Followed:
    """Characters since the last whitespace."""
    return _since(text, str.isspace)


def capitals(text: str) -> Followed:
    """1 at a capital letter."""
    return np.array([character.isupper() for character in text], np.float64)


def digits(text: str) -> Followed:
    """1 at a digit."""
    return np.array([character.isdigit() for character in text], np.float64)


def _since(text: str, begins: Any) -> Followed:
    places = itertools.accumulate(text, lambda at, c: 0 if begins(c) else at + 1, initial=0)
    return np.fromiter(itertools.islice(places, 1, None), np.float64)
