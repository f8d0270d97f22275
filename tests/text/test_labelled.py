"""Labelled texts: columns by name or number, exact texts, every complaint with its rows."""

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from charlm.errors import DataError, UsageError
from charlm.text.labelled import LabelledRow, read_labelled, read_rows, row_batches


def unsaid(message: str) -> None:
    raise AssertionError(message)


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """table(text or bytes, name): a file with it."""

    def make(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def test_texts_are_exact_and_labels_without_white_space(table: Any) -> None:
    path = table('id,label,text\r\n1, B ,"  a ""quoted"",\r\ntext "\r\n2,A,b\n')
    assert read_labelled(path, say=unsaid) == [
        LabelledRow('  a "quoted",\r\ntext ', "B", 2),
        LabelledRow("b", "A", 3),
    ]


def test_columns_by_name_number_and_key(table: Any) -> None:
    wanted = [LabelledRow("one", "A", 1), LabelledRow("two", "B", 2)]
    numbered = table("A\tone\nB\ttwo\n", "t.tsv")
    layout = {"text_column": "1", "label_column": "0"}
    assert read_labelled(numbered, header=False, say=unsaid, **layout) == wanted  # type: ignore[arg-type]
    lines = '{"note": "one", "kind": "A"}\n{"kind": "B", "note": "two", "more": [1]}\n'
    packed = table(gzip.compress(lines.encode()), "t.jsonl.gz")
    layout = {"text_column": "note", "label_column": "kind"}
    assert read_labelled(packed, say=unsaid, **layout) == wanted  # type: ignore[arg-type]
    stdin = io.BytesIO(b"kind,note\nA,one\nB,two\n")
    found = read_labelled("-", format="csv", stdin=stdin, say=unsaid, **layout)  # type: ignore[arg-type]
    assert [row[:2] for row in found] == [row[:2] for row in wanted]


def test_a_mark_is_no_part_of_the_first_name(table: Any) -> None:
    said: list[str] = []
    path = table(b"\xef\xbb\xbftext,label\na,b\n")
    assert read_labelled(path, say=said.append) == [LabelledRow("a", "b", 2)]
    assert said == [f"{path}: byte order mark dropped."]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            "text,label\na,b,c\nd,e\nf\n",
            "3 cells instead of 2 in row 2; 1 cells instead of 2 in row 4",
        ),
        ("text,label\na, \nb,x\nc,\n", "an empty label in row 2, row 4"),
        ('text,label\n"\n ",x\n', "an empty text in row 2"),
        ('text,label\n"a\nb",x\nc\n', r"1 cells instead of 2 in row 3 \(line 4\)"),
        ("text,label\n" + "a,\n" * 14, "row 11 and 4 more"),
        ("text,label\n", "has no rows"),
        ("", "has no rows"),
        ("note,kind\na,b\n", "has no column text. There are: note, kind"),
        ("text,label,text\na,b,c\n", "has 2 columns of the name text"),
    ],
)
def test_complaints_name_rows_and_columns(table: Any, content: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_labelled(table(content), say=unsaid)


def test_all_that_is_wrong_with_rows_is_told_at_once(table: Any) -> None:
    with pytest.raises(DataError) as told:
        read_labelled(table("text,label\n ,x\na\nb,\n"), say=unsaid)
    for complaint in (
        "empty text in row 2",
        "1 cells instead of 2 in row 3",
        "empty label in row 4",
    ):
        assert complaint in told.value.what


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"label": "x"}, "no key text in row 2"),
        ({"text": "a"}, "no key label in row 2"),
        ({"text": 1, "label": "x"}, "under text what is no text in row 2"),
        ({"text": "\ud800", "label": "x"}, "under text what is no text in row 2"),
        ({"text": "a", "label": "\udfff"}, "under label what is no single label"),
        (
            {"text": "a", "label": ["x", "y"]},
            r"no single label \(several are out of scope\) in row 2",
        ),
        ({"text": "a", "label": None}, "an empty label in row 2"),
    ],
)
def test_complaints_about_objects(table: Any, value: Any, complaint: str) -> None:
    good = json.dumps({"text": "a", "label": "x"})
    with pytest.raises(DataError, match=complaint):
        read_labelled(table(f"{good}\n{json.dumps(value)}\n{good}\n", "t.jsonl"), say=unsaid)


def test_labels_of_json_that_are_numbers_or_true(table: Any) -> None:
    content = "".join(
        json.dumps({"text": "a", "label": label}) + "\n" for label in (7, True, " x ")
    )
    found = read_labelled(table(content, "t.jsonl"), say=unsaid)
    assert [row.label for row in found] == ["7", "true", "x"]


def test_a_first_row_that_is_data_is_not_shown(table: Any) -> None:
    secret = "the patient is known by a name that nobody may read"
    with pytest.raises(DataError, match="The first row has 2 cells, not shown") as told:
        read_labelled(table(f"{secret},x\n"), say=unsaid)
    assert "patient" not in str(told.value)


def test_without_a_header_columns_are_numbers(table: Any) -> None:
    path = table("a,x\n")
    with pytest.raises(UsageError, match="the column text is asked for by name"):
        read_labelled(path, header=False, say=unsaid)
    with pytest.raises(DataError, match=r"no column 2\. There are 0 to 1"):
        read_labelled(path, header=False, text_column="2", label_column="0", say=unsaid)


def test_invalid_bytes_are_placed(table: Any) -> None:
    path = table(b"text,label\ncaf\xe9,x\n")
    with pytest.raises(
        DataError, match=r"line 2, byte offset 14, byte 0xE9\. Perhaps it is cp1252"
    ):
        read_labelled(path, say=unsaid)
    assert read_labelled(path, encoding="cp1252", say=unsaid)[0].text == "café"
    said: list[str] = []
    assert read_labelled(path, errors="replace", say=said.append)[0].text == "caf\ufffd"
    assert said == [f"{path}: 1 invalid byte sequences replaced by U+FFFD."]


def test_folders_and_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        read_labelled(tmp_path, say=unsaid)
    with pytest.raises(DataError, match="does not exist"):
        read_labelled(tmp_path / "t.csv", say=unsaid)


def test_reading_to_classify_wants_no_labels(table: Any) -> None:
    path = table("label,text\n,a\nx,\n")
    assert list(read_rows(path, say=unsaid)) == [
        LabelledRow("a", None, 2),
        LabelledRow("", None, 3),
    ]
    found = list(read_rows(path, label_column="label", say=unsaid))
    assert [row.label for row in found] == [None, "x"]
    with pytest.raises(DataError, match="1 cells instead of 2 in row 2"):
        list(read_rows(table("label,text\nx\n"), say=unsaid))


def test_groups_end_by_rows_and_by_characters(table: Any) -> None:
    path = table("text,n\n" + "".join(f"{'x' * size},1\n" for size in (1, 1, 1, 5, 1)))
    groups = row_batches(path, 2, 5, say=unsaid)
    assert [[len(row.text) for row in group] for group in groups] == [[1, 1], [1, 5], [1]]


def test_a_pipe_gets_its_answers_as_its_rows_come() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:
        groups = row_batches("-", 100, 10_000, format="csv", stdin=stream, say=unsaid)
        pipe.write(b'text,label\n"one\nline",x\ntwo,y\nth')
        # Were the reader to wait for more, this would hang: nobody writes.
        assert [row.text for row in next(groups)] == ["one\nline", "two"]
        pipe.write(b"ree,z\n")
        assert [row.text for row in next(groups)] == ["three"]
        pipe.write(b"last,x")
        pipe.close()
        assert [[row.text for row in group] for group in groups] == [["last"]]
