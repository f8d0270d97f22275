"""Train, valid and test parts of a text: exact spans of characters, in this order."""

from fractions import Fraction

from charlm.errors import DataError, UsageError

PARTS = ("train", "valid", "test")


def exact_fractions(
    valid_fraction: str | float, test_fraction: str | float
) -> tuple[Fraction, Fraction]:
    """Both as the numbers a person wrote: "0.1" and 0.1 are 1/10.

    UsageError: one is outside [0, 1), or nothing is left beside them.
    """
    valid = _exact(valid_fraction, "--valid-fraction")
    test = _exact(test_fraction, "--test-fraction")
    if valid + test >= 1:
        raise UsageError(
            f"--valid-fraction {valid_fraction} and --test-fraction {test_fraction} leave nothing "
            "for training.",
            "Their sum must be below 1.",
        )
    return valid, test


def _exact(value: str | float, option: str) -> Fraction:
    try:
        fraction = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        fraction = Fraction(-1)
    if not 0 <= fraction < 1:
        raise UsageError(
            f"{option} {value} is out of range: it must be at least 0 and below 1.",
            "0.1 keeps the last tenth of the characters; 0 keeps none.",
        )
    return fraction


def split_spans(
    characters: int, valid_fraction: Fraction, test_fraction: Fraction
) -> dict[str, tuple[int, int]]:
    """Part name to its characters [start, stop) of the N in a text; empty parts are left out.

    train is the first floor(N (1 - v - t)), test starts at floor(N (1 - t)), and valid is
    what lies between. DataError: nothing is left for train.
    """
    rest = 1 - valid_fraction - test_fraction
    valid_start = int(characters * rest)
    test_start = int(characters * (1 - test_fraction))
    if valid_start == 0:
        least = -(-1 // rest)  # ceil(1 / rest): the first N with floor(N rest) >= 1
        raise DataError(
            f"The training part is empty: the text has {characters} character(s).",
            f"Training needs at least 1 character, so here a text of {least} or more.",
        )
    borders = (0, valid_start, test_start, characters)
    spans = zip(PARTS, borders, borders[1:], strict=False)
    return {part: (start, stop) for part, start, stop in spans if start < stop}
