"""Rows of CSV, TSV and JSON lines as they come: cells, and the row and line where each begins.

CSV is RFC 4180's: commas, cells in quotes where they hold commas, quotes (doubled) or line
breaks, rows ended by CRLF or by a line break alone. TSV is the same with tabs. JSON lines: one
object a line.

Rows are counted from 1 as a spreadsheet counts them, the header and blank rows too. Blank rows
are left out.
"""

import csv
import json
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from charlm.errors import DataError, UsageError

DELIMITERS: Final = {"csv": ",", "tsv": "\t"}
SUFFIXES: Final = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl"}
MOST_CHARACTERS: Final = 1 << 24  # of a cell: an unclosed quote must not swallow the whole file


class Row(NamedTuple):
    """One row: its cells in order, or by their keys in JSON lines."""

    number: int
    line: int
    cells: list[str] | dict[str, Any]


class Lines:
    """Lines one at a time from groups of them; `at_hand`: whether the next needs no reading."""

    def __init__(self, groups: Iterator[list[str]]) -> None:
        self._groups = groups
        self._left: deque[str] = deque()

    @property
    def at_hand(self) -> bool:
        return bool(self._left)

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if not self._left:
            self._left.extend(next(self._groups))
        return self._left.popleft()


def told_format(name: str) -> str | None:
    """The format that a file's name tells, `.gz` or not; None: it tells none."""
    plain = name.lower().removesuffix(".gz")
    return next((found for suffix, found in SUFFIXES.items() if plain.endswith(suffix)), None)


def format_of(name: str) -> str:
    """The same; UsageError where the name tells none."""
    found = told_format(name)
    if found is not None:
        return found
    raise UsageError(
        f"{name} does not say its format: needed is a name in {', '.join(SUFFIXES)} (or .gz of it)",
        "Rename it, or say the format: csv, tsv or jsonl.",
    )


def table_rows(lines: Lines, format: str, name: str) -> Iterator[Row]:
    """The rows of `lines` in "csv", "tsv" or "jsonl".

    DataError, with the row and its line: quotes that do not balance, a bare carriage return
    outside of quotes, what is no JSON object, or more than MOST_CHARACTERS in a cell or object.
    """
    return (
        _objects(lines, name) if format == "jsonl" else _delimited(lines, DELIMITERS[format], name)
    )


def _delimited(lines: Lines, delimiter: str, name: str) -> Iterator[Row]:
    # The module has one limit for all readers: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MOST_CHARACTERS))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    while True:
        number, line = number + 1, reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raise _malformed(f"{name}, {place(number, line)}", str(problem)) from problem
        if cells:
            yield Row(number, line, cells)


def _malformed(where: str, problem: str) -> DataError:
    if "unexpected end" in problem:
        what = "a quote opens a cell and is never closed"
    elif "expected after" in problem:
        what = "a cell in quotes goes on after its closing quote"
    elif "new-line" in problem:
        what = "a carriage return stands in a cell without quotes"
    elif "limit" in problem:
        what = f"a cell has more than {MOST_CHARACTERS:,} characters (is a quote never closed?)"
    else:
        what = f"this is not CSV ({problem})"
    return DataError(
        f"{where}: {what}.",
        "A cell that holds quotes or line breaks stands in quotes, with each quote inside doubled.",
    )


def _objects(lines: Lines, name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{name}, {place(number, number)}"
        if len(line) > MOST_CHARACTERS:
            raise DataError(
                f"{where}: the line has more than {MOST_CHARACTERS:,} characters.",
                "One object a line; cut the text into several.",
            )
        try:
            cells = json.loads(line.rstrip())
        except (ValueError, RecursionError) as problem:
            column = (
                f", column {problem.colno}" if isinstance(problem, json.JSONDecodeError) else ""
            )
            raise DataError(
                f"{where}{column}: this is not JSON.", "Each line is one JSON object."
            ) from problem
        if not isinstance(cells, dict):
            raise DataError(f"{where}: this is no JSON object.", "Each line is one JSON object.")
        yield Row(number, number, cells)


def place(number: int, line: int) -> str:
    """`row 7`, and the line it begins at where that is another number."""
    return f"row {number}" + (f" (line {line})" if line != number else "")
