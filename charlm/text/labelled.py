"""Labelled texts: (text, label) from the columns of a CSV, TSV or JSON-lines file.

Texts are exact; of labels, white space at the ends is left out. One label a text.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypedDict, Unpack

from charlm.errors import DataError, UsageError
from charlm.text.decoding import Say, check_decoding
from charlm.text.lines import line_batches, ready
from charlm.text.sources import STDIN, Source, expand, open_source
from charlm.text.tables import Lines, Row, format_of, place, table_rows

_SHOWN: Final = 10  # rows named in a complaint
_LONGEST_NAME: Final = 40  # characters
_MOST_NAMES: Final = 40
_LONGEST_LABEL: Final = 1000
_GROUP = (10_000, 1 << 20)  # lines and characters read ahead from a file
_HALF: Final = re.compile("[\ud800-\udfff]")  # JSON can name it, UTF-8 cannot hold it


class LabelledRow(NamedTuple):
    """A text, its label where there is one, and the row it stands in (text/tables.py)."""

    text: str
    label: str | None
    row: int


class Layout(TypedDict, total=False):
    """How a table is read; what is left out is by the name of the file, or the default here."""

    format: str | None  # csv, tsv or jsonl; None: by the name
    text_column: str  # "text"; a number from 0 where there is no header
    label_column: str | None  # None: no labels are read
    header: bool  # True
    encoding: str  # "utf-8"
    errors: str  # "strict"


class _Complaint(NamedTuple):
    what: str  # "an empty label"
    where: str  # "row 3"


def read_rows(
    source: str | Path, *, stdin: BinaryIO | None = None, say: Say, **layout: Unpack[Layout]
) -> Iterator[LabelledRow]:
    """The rows of a table, as they come, in flat memory; `-` is standard input.

    An empty text is a text; an empty label is None. UsageError: no format, or a column that
    is no number where there is no header. DataError: see text/tables.py and text/decoding.py,
    a column that is not there, a row with more or fewer cells, a cell that is no text.
    """
    for batch in row_batches(source, 1, 1, stdin=stdin, say=say, **layout):
        yield from batch


def row_batches(
    source: str | Path,
    most_rows: int,
    most_characters: int,
    *,
    stdin: BinaryIO | None = None,
    say: Say,
    **layout: Unpack[Layout],
) -> Iterator[list[LabelledRow]]:
    """Rows as `read_rows` gives them, in groups.

    A group ends at `most_rows`, with the row that takes it to `most_characters`, and when no
    more input is waiting right now, so that a pipe gets its answers as its rows come.
    """
    origin = _source(source)
    batch: list[LabelledRow] = []
    characters = 0
    with open_source(origin, stdin) as stream:
        lines, rows = _open(stream, origin, say, layout)
        for found in rows:
            if isinstance(found, _Complaint):
                raise _refusal(origin.name, [found])
            batch.append(found)
            characters += len(found.text)
            full = len(batch) >= most_rows or characters >= most_characters
            if full or not (lines.at_hand or ready(stream)):
                yield batch
                batch, characters = [], 0
    if batch:
        yield batch


def read_labelled(
    source: str | Path, *, stdin: BinaryIO | None = None, say: Say, **layout: Unpack[Layout]
) -> list[LabelledRow]:
    """All rows of a table, each with a text and a label.

    Raises what `read_rows` raises, and DataError for empty texts and labels; whatever is wrong
    with single rows is told at once, with their numbers. DataError also where there is no row.
    """
    layout.setdefault("label_column", "label")
    origin = _source(source)
    complaints: list[_Complaint] = []
    found: list[LabelledRow] = []
    with open_source(origin, stdin) as stream:
        for row in _open(stream, origin, say, layout)[1]:
            if isinstance(row, _Complaint):
                complaints.append(row)
                continue
            found.append(row)
            if row.label is None:
                complaints.append(_Complaint("an empty label", f"row {row.row}"))
            elif len(row.label) > _LONGEST_LABEL:
                what = f"a label of more than {_LONGEST_LABEL:,} characters"
                complaints.append(_Complaint(what, f"row {row.row}"))
            if not row.text.strip():
                complaints.append(_Complaint("an empty text", f"row {row.row}"))
    if complaints:
        raise _refusal(origin.name, complaints)
    if not found:
        raise DataError(f"{origin.name} has no rows.", "Needed: a text and its label in each row.")
    return found


def _refusal(name: str, complaints: list[_Complaint]) -> DataError:
    places: dict[str, list[str]] = {}
    for complaint in complaints:
        places.setdefault(complaint.what, []).append(complaint.where)
    told = "; ".join(f"{what} in {listed(where)}" for what, where in places.items())
    return DataError(
        f"{name} has {told}.",
        "Repair or leave out these rows (counted from 1, the header and blank ones too).",
    )


def listed(places: list[str]) -> str:
    """The first of `places`, and how many more there are."""
    more = len(places) - _SHOWN
    return ", ".join(places[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _source(source: str | Path) -> Source:
    if source != STDIN and Path(source).is_dir():
        raise DataError(f"{source} is a folder.", "Name one CSV, TSV or JSON-lines file.")
    return expand([source])[0]


def _open(
    stream: BinaryIO, origin: Source, say: Say, layout: Layout
) -> tuple[Lines, Iterator[LabelledRow | _Complaint]]:
    encoding, errors = layout.get("encoding", "utf-8"), layout.get("errors", "strict")
    check_decoding(encoding, errors)
    format = layout.get("format") or format_of(origin.name)
    groups = line_batches(
        stream, *_GROUP, name=origin.name, encoding=encoding, errors=errors, say=say
    )
    lines = Lines(groups)
    rows = table_rows(lines, format, origin.name)
    columns = (layout.get("text_column", "text"), layout.get("label_column"))
    if columns[0] == columns[1]:
        raise UsageError(
            f"texts and labels are both to be read from the column {columns[0]}",
            "Give another --text-column or --label-column.",
        )
    if format == "jsonl" and not layout.get("header", True):
        raise UsageError(
            f"--no-header is of a table, and {origin.name} is JSON lines", "Leave it out."
        )
    if format == "jsonl":
        return lines, _from_objects(rows, *columns)
    return lines, _from_cells(rows, origin.name, *columns, header=layout.get("header", True))


def _from_cells(
    rows: Iterator[Row], name: str, text_column: str, label_column: str | None, *, header: bool
) -> Iterator[LabelledRow | _Complaint]:
    names: list[str] | None = None
    for row in rows:
        cells = row.cells
        assert isinstance(cells, list)
        if names is None:
            names = cells if header else [str(number) for number in range(len(cells))]
            text_at = _index(names, text_column, name, header)
            label_at = None if label_column is None else _index(names, label_column, name, header)
            if header:
                continue
        if len(cells) != len(names):
            what = f"{len(cells)} cells instead of {len(names)}"
            yield _Complaint(what, place(row.number, row.line))
            continue
        label = None if label_at is None else cells[label_at].strip() or None
        yield LabelledRow(cells[text_at], label, row.number)


def _index(names: list[str], column: str, name: str, header: bool) -> int:
    """Where `column` stands among the names of a table."""
    if not header and not column.isdecimal():
        raise UsageError(
            f"the column {column} is asked for by name, but {name} is read without a header",
            f"Give its number, from 0 to {len(names) - 1}.",
        )
    matching = [number for number, known in enumerate(names) if known.strip() == column]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise DataError(
            f"{name} has {len(matching)} columns of the name {column}.", "Give each one its name."
        )
    if not header:
        there = f"There are 0 to {len(names) - 1}."
    elif any(len(name) > _LONGEST_NAME or " " in name.strip() for name in names):
        # Perhaps a person's text: not to be shown.
        there = f"The first row has {len(names)} cells, not shown, as they may be data."
    else:
        there = f"There are: {', '.join(name.strip() for name in names[:_MOST_NAMES])}."
    raise DataError(
        f"{name} has no column {column}. {there}",
        "Name one of these; --no-header where the first row is data.",
    )


def _from_objects(
    rows: Iterator[Row], text_column: str, label_column: str | None
) -> Iterator[LabelledRow | _Complaint]:
    for row in rows:
        assert isinstance(row.cells, dict)
        try:
            text = row.cells[text_column]
            label = None if label_column is None else row.cells[label_column]
        except KeyError as missing:
            yield _Complaint(f"no key {missing.args[0]}", f"row {row.number}")
            continue
        if not isinstance(text, str) or _HALF.search(text):
            yield _Complaint(f"under {text_column} what is no text", f"row {row.number}")
        elif not isinstance(label, str | int | None) or _HALF.search(str(label)):
            what = f"under {label_column} what is no single label (several are out of scope)"
            yield _Complaint(what, f"row {row.number}")
        else:
            yield LabelledRow(text, _label(label), row.number)


def _label(value: str | int | None) -> str | None:
    """A label as a word: `true` and `7` for those of JSON."""
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value)).strip() or None
