"""A series of numbers as a text: values in steps, a word each, for a model of words to learn.

    86.2 86.4 nan 87.1, in steps of 0.5  ->  "86.0 86.5 ? 87.0\n"

A value stands for those nearer to it than to any other step. One series is one line.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from charlm.errors import DataError
from charlm.text.decoding import Say
from charlm.text.labelled import Layout, listed, read_rows
from charlm.text.lines import read_lines
from charlm.text.sources import STDIN, expand, open_source
from charlm.text.tables import told_format

Values = npt.NDArray[np.float64]

MISSING: Final = "?"
_NOTHING: Final = frozenset({"", MISSING, "-", ".", "na", "n/a", "nan", "none", "null"})
_USUAL_STEPS: Final = 40  # between the first and the last hundredth of the values
_DIGITS: Final = 700  # any double as a multiple of any step
_LONGEST_SHOWN: Final = 8  # characters of what is no number


def read_series(
    source: str,
    column: str | None = None,
    *,
    header: bool = True,
    encoding: str = "utf-8",
    errors: str = "strict",
    stdin: BinaryIO | None = None,
    say: Say,
) -> Values:
    """The values (N,) of a file or of standard input (`-`), NaN where one is missing.

    A value a line, or a `column` of a table: CSV unless its name says TSV. An empty cell or line,
    "?", "-", "NA", "nan" and the like are missing values. DataError: no values, or what is neither
    a number nor missing; otherwise as `labelled.read_rows`.
    """
    if column is None:
        cells = _lines(source, stdin, encoding, errors, say)
    else:
        format = "csv" if source == STDIN else told_format(source) or "csv"
        layout = Layout(
            format=format, text_column=column, label_column=None,
            header=header, encoding=encoding, errors=errors,
        )  # fmt: skip
        rows = read_rows(source, stdin=stdin, say=say, **layout)
        cells = ((f"row {row.row}", row.text) for row in rows)
    values, wrong = [], []
    for where, cell in cells:
        try:
            values.append(_number(cell))
        except ValueError:
            shown = cell.strip()[:_LONGEST_SHOWN]
            wrong.append(f"{where} ({shown!r})")
    name = "standard input" if source == STDIN else source
    if wrong:
        raise DataError(
            f"{name} has what is no number in {listed(wrong)}.",
            "Needed: numbers like 86 or 86.5; a missing value is an empty cell, ? or NA. "
            "--column names the column of a table.",
        )
    found = np.array(values, np.float64)
    if not np.isfinite(found).any():
        raise DataError(
            f"{name} has {len(found)} values, all of them missing.",
            "Needed: one number at least.",
        )
    return found


def _lines(
    source: str, stdin: BinaryIO | None, encoding: str, errors: str, say: Say
) -> Iterator[tuple[str, str]]:
    origin, *more = expand([source])
    if more:
        raise DataError(
            f"{source} holds {1 + len(more):,} files, and a series is one.", "Name one of them."
        )
    with open_source(origin, stdin) as stream:
        lines = read_lines(stream, name=origin.name, encoding=encoding, errors=errors, say=say)
        for number, line in enumerate(lines, 1):
            yield f"line {number}", line


def _number(cell: str) -> float:
    """NaN where a value is missing; ValueError for what is no finite number."""
    word = cell.strip()
    if word.lower() in _NOTHING:
        return math.nan
    if "_" in word or not math.isfinite(number := float(word)):
        raise ValueError(cell)
    return number


def usual_step(values: Values) -> Decimal:
    """1, 2 or 5 times a power of ten: the first with at most some 40 of it in these values."""
    low, high = np.nanquantile(values, [0.01, 0.99])
    if not math.isfinite(high - low):
        raise DataError("the values are too far apart for numbers", "Give --step.")
    wanted = (high - low) / _USUAL_STEPS or max(abs(high) / 1000, 1e-6)
    power = Decimal(10) ** math.floor(math.log10(wanted))
    return next(times * power for times in (1, 2, 5, 10) if times * float(power) >= wanted)


def as_words(values: Values, step: Decimal) -> list[str]:
    """The word of each value: the nearest multiple of `step`, written out, or MISSING."""
    exponent = Decimal(1).scaleb(min(0, int(step.normalize().as_tuple().exponent)))
    return [_word(value, step, exponent) for value in values.tolist()]


def _word(value: float, step: Decimal, exponent: Decimal) -> str:
    if math.isnan(value):
        return MISSING
    with localcontext(prec=_DIGITS):
        multiple = math.floor(Decimal(value) / step + Decimal("0.5"))
        return f"{(multiple * step).quantize(exponent):f}"


def as_text(words: Sequence[str]) -> str:
    """One series: one line."""
    return " ".join(words) + "\n"
