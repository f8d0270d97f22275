"""Rows of CSV, TSV and JSON lines: what the csv module writes comes back; complaints have rows."""

import csv
import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, UsageError
from charlm.text import tables
from charlm.text.tables import Lines, format_of, table_rows

CELLS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\r\t",;'), max_size=8)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6)


def rows(text: str, format: str = "csv", group: int = 1) -> list[tables.Row]:
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]] + [lines[-1]] * bool(lines[-1])
    groups: Iterator[list[str]] = (
        ended[start : start + group] for start in range(0, len(ended), group)
    )
    return list(table_rows(Lines(groups), format, "it"))


@settings(max_examples=150, deadline=None)
@given(
    table=TABLES,
    format=st.sampled_from(["csv", "tsv"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    group=st.integers(1, 3),
)
def test_what_a_spreadsheet_writes_comes_back(
    table: list[list[str]], format: str, ending: str, group: int
) -> None:
    file = io.StringIO()
    # Python 3.11 leaves a carriage return without quotes where it ends no row.
    quoting = csv.QUOTE_ALL if ending == "\n" else csv.QUOTE_MINIMAL
    delimiter = tables.DELIMITERS[format]
    writer = csv.writer(file, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    writer.writerows(table)
    found = rows(file.getvalue(), format, group)
    assert [row.cells for row in found] == table
    assert [row.number for row in found] == list(range(1, len(table) + 1))
    line = 1
    for row, cells in zip(found, table, strict=True):
        assert row.line == line
        line += 1 + sum(cell.count("\n") for cell in cells)


def test_blank_rows_are_counted_and_left_out() -> None:
    found = rows('a,b\r\n\r\n"x\ny",1\n\n\nz,2')
    assert [(row.number, row.line, row.cells) for row in found] == [
        (1, 1, ["a", "b"]),
        (3, 3, ["x\ny", "1"]),
        (6, 7, ["z", "2"]),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            'a,b\n"x\ny",1\nz,"open\nand on\n',
            r"it, row 3 \(line 4\): a quote opens .* never closed",
        ),
        ('a,b\n"x"y,1\n', "it, row 2: a cell in quotes goes on after its closing quote"),
        ("a,b\nx\ry,1\n", "it, row 2: a carriage return stands in a cell without quotes"),
    ],
)
def test_quotes_that_do_not_balance_are_refused_where_they_begin(text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        rows(text)


def test_an_open_quote_does_not_swallow_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    def groups() -> Iterator[list[str]]:
        nonlocal taken
        yield ["a,b\n", '"never closed,1\n']
        while True:
            taken += 1
            yield ["x" * 65_536 + "\n"]

    with pytest.raises(DataError, match="row 2: a cell has more than 16,777,216 characters"):
        list(table_rows(Lines(groups()), "csv", "it"))
    assert taken < 300


def test_a_text_of_a_million_characters_is_a_cell() -> None:
    text = "word " * 200_000
    assert rows(f"{text},a\n")[0].cells == [text, "a"]


@settings(max_examples=60, deadline=None)
@given(objects=st.lists(st.dictionaries(CELLS, CELLS | st.integers(), max_size=3), max_size=5))
def test_objects_come_back(objects: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(each) + "\n\n" for each in objects)
    found = rows(text, "jsonl")
    assert [row.cells for row in found] == objects
    assert [row.number for row in found] == list(range(1, 2 * len(objects), 2))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"a": 1', "it, row 2, column 8: this is not JSON"),
        ("[" * 100_000, "it, row 2: this is not JSON"),
        ('["a"]', "it, row 2: this is no JSON object"),
    ],
    ids=["cut", "deep", "array"],
)
def test_what_is_no_object_is_refused_with_its_row(line: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        rows("{}\n" + line + "\n", "jsonl")


def test_an_object_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_CHARACTERS", 20)
    with pytest.raises(DataError, match="row 1: the line has more than 20 characters"):
        rows('{"a": "' + "x" * 20 + '"}', "jsonl")


def test_names_tell_the_format() -> None:
    names = ("a.csv", "B.CSV.gz", "a.b.tsv", "x.jsonl.gz")
    assert [format_of(name) for name in names] == ["csv", "csv", "tsv", "jsonl"]
    for name in ("standard input", "notes.txt", "csv", "a.gz"):
        with pytest.raises(UsageError, match="does not say its format"):
            format_of(name)
