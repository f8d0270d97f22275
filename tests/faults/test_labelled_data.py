"""Tables as people have them, given to the commands: an answer, or 3 with the wrong rows."""

import csv
import io
import json

import numpy as np
import pytest
from classifying.tables import QUICK, SMALL, options, rows
from contract.command import call, charlm, on_terminal

ONE_STEP = options(**QUICK | SMALL | {"epochs": None, "steps": 1, "baseline": False})[2:]
EVIL = "\x1b]0;x\x07\x1b[31m\u202e[/x]"


def table(path, records, header=("text", "label"), end="\n"):
    """As CSV, whatever stands in the cells."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator=end).writerows([header, *records])
    return path


def good(count=24):
    return [(row.text, row.label) for row in rows(count)]


def finetune(data, out, *more):
    return call("finetune-classify", "none", data, "--out", out, *ONE_STEP, *more)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A classifier whose classes have names that a terminal must not be given."""
    folder = tmp_path_factory.mktemp("evil")
    names = {"heart": f"{EVIL}heart", "bone": "--help"}
    data = table(folder / "t.csv", [(text, names[label]) for text, label in good(60)])
    done = finetune(data, folder / "run", "--test-fraction", "0.2")
    assert done.code == 0, done.err
    return folder / "run"


WRONG = {  # a table, more options, what is said
    "ragged row": ("text,label\na b,x\nc d,x,1\ne f,y\n", (), "3 cells instead of 2 in row 3"),
    "missing column": ("text,class\na b,x\n", (), "no column label"),
    "empty label": ("text,label\na b,x\nc d,\ne f, \n", (), "an empty label in row 3, row 4"),
    "empty text": ("text,label\na b,x\n ,y\n", (), "an empty text in row 3"),
    "one class only": ("text,label\na b,x\nc d,x\n", (), "1 class"),
    "unbalanced quotes": ('text,label\na b,x\n"c d,y\ne f,x\n', (), "row 3: a quote"),
    "goes on after a quote": ('text,label\n"a" b,x\n', (), "row 2"),
    "a bare carriage return": ("text,label\na\rb,x\n", (), "row 2"),
    "no rows": ("text,label\n", (), "has no rows"),
    "nothing": ("", (), "has no rows"),
    "blank": ("\n\n\n", (), "has no rows"),
    "invalid UTF-8": (b"text,label\na\xffb,x\n", (), "byte offset 12"),
    "two columns of one name": ("text,text,label\na,b,x\n", (), "2 columns of the name text"),
    "binary": (bytes(range(256)) * 40, (), "valid utf-8"),
    "UTF-16": ("text,label\na b,x\n".encode("utf-16"), (), "utf-16"),
    "no JSON": ("text,label\na b,x\n", ("--jsonl",), "row 1"),
    "a label for each row": (
        "text,label\n" + "".join(f"the knee {n},{n}\n" for n in range(501)), (), "501 different",
    ),
    "a text for a label": (
        f"text,label\na b,{'x' * 1001}\nc d,y\n", (), "1,000 characters in row 2",
    ),
    "several labels": ('{"text": "a b", "label": ["x", "y"]}\n', ("--jsonl",), "row 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_with_its_rows(tmp_path, what):
    content, more, said = WRONG[what]
    file = tmp_path / "table.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = finetune(file, tmp_path / "run", *more)
    assert done.code == 3 and said in done.err, done.err
    assert done.out == "" and "Traceback" not in done.err
    assert not (tmp_path / "run").exists()


def test_texts_and_labels_of_one_column(tmp_path):
    data = table(tmp_path / "t.csv", good())
    done = finetune(data, tmp_path / "run", "--text-column", "label")
    assert done.code == 2 and "the column label" in done.err


def test_a_label_that_no_training_text_has(tmp_path):
    data = table(tmp_path / "a.csv", good())
    other = table(tmp_path / "b.csv", [("a red arm itches", "skin"), *good(4)])
    for part in ("--valid", "--test"):
        done = finetune(data, tmp_path / "run", part, other)
        assert done.code == 3 and "row 2" in done.err
        assert not (tmp_path / "run").exists()


RIGHT = {
    "CRLF": (good(), "\r\n"),
    "quotes and line breaks in cells": (
        [(f'he said "no, {text}"\r\n\n{text}', label) for text, label in good()], "\n",
    ),
    "a class with one example": ([*good(), ("a red arm itches", "skin")], "\n"),
    "controls, NUL, U+2028": ([(f"{text}\0\x1b\u2028\x85", label) for text, label in good()], "\n"),
    "one long text": ([*good(), ("the knee " * 50_000, "bone")], "\n"),
    "texts of one symbol": ([(c * n, c) for n in range(1, 13) for c in "ab"], "\n"),
    "500 classes": ([(f"the {n} {k}", f"class {n}") for n in range(500) for k in "ab"], "\n"),
}  # fmt: skip


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_unusual_works(tmp_path, what):
    records, end = RIGHT[what]
    data = table(tmp_path / "table.csv", records, end=end)
    done = finetune(data, tmp_path / "run", "--json", "--valid-fraction", "0.2")
    assert done.code == 0, done.err
    classes = json.loads(done.out)["classes"]
    assert classes == sorted({label for _, label in records})
    few = table(tmp_path / "few.csv", records[:40], end=end)
    found = call("classify", tmp_path / "run", few, "--threads", "1", "--json")
    assert found.code == 0, found.err
    answers = [json.loads(line) for line in found.out.split("\n")[:-1]]
    assert [answer["text"] for answer in answers] == [text for text, _ in records[:40]]
    assert {answer["label"] for answer in answers} <= set(classes)


BROKEN = "text,label\nthe knee,x\na heart,x,1\nthe valve,x\n"


def test_classify_refuses_what_is_wrong(run):
    done = charlm("classify", run, "--csv", "--threads", "1", stdin=BROKEN.encode())
    assert done.code == 3 and "row 3" in done.err
    for content, said in (
        ('text,label\n"the knee\n', "row 2"),
        ("text,label\na\rb,x\n", "row 2"),
        ("note,label\na,x\n", "no column text"),
    ):
        done = charlm("classify", run, "--csv", "--threads", "1", stdin=content.encode())
        assert done.code == 3 and said in done.err, done.err


@pytest.mark.parametrize("verb", ["classify", "embed"])
def test_nothing_and_empty_lines(run, verb):
    done = charlm(verb, run, "--threads", "1", stdin=b"")
    assert done.code == 0 and done.out == ""
    done = charlm(verb, run, "--threads", "1", stdin=b"\n\n\0\n\r\n")
    assert done.code == 0 and done.stdout.count(b"\n") == 4
    if verb == "embed":
        lines = done.out.splitlines()
        assert np.isfinite([[float(x) for x in line.split("\t")] for line in lines]).all()


def test_a_label_to_measure_against_that_is_not_there(run, tmp_path):
    data = table(tmp_path / "t.csv", [("the knee", "--help"), ("the heart", "liver")])
    done = call("classify", run, data, "--label-column", "label", "--threads", "1")
    assert done.code == 3 and "row 3" in done.err and "'liver'" in done.err
    assert "\x1b" not in done.err


def test_names_of_classes_cannot_steer_a_terminal(run, tmp_path):
    data = table(tmp_path / "t.csv", [(f"the knee {EVIL}", f"{EVIL}heart")] * 2)
    again = tmp_path / "again"
    for words in (
        ("classify", run, data, "--threads", "1", "--label-column", "label"),
        ("classify", run, data, "--threads", "1", "--all"),
        ("info", run),
        ("verify", run),
        ("compare", run, run),
        ("finetune-classify", "--resume", "--out", run),
        ("finetune-classify", "none", table(tmp_path / "u.csv", [
            (f"{text} {EVIL}", f"{EVIL}{label}") for text, label in good(40)
        ]), "--out", again, *ONE_STEP),
    ):  # fmt: skip
        shown = on_terminal(*words, environment={"TERM": "dumb", "NO_COLOR": "1"})
        assert shown.code == 0, (words, shown.stdout)
        for piece in ("\x1b]0", "\x07", "\x1b[31m", "\u202e"):
            assert piece.encode() not in shown.stdout, (words, piece)
        if words[0] == "classify":
            assert rb"\x1b[31m\u202e[/x]" in shown.stdout
    piped = call("classify", run, data, "--threads", "1", "--json")
    assert EVIL in json.loads(piped.out.split("\n")[0])["text"]
    piped = call("classify", run, data, "--threads", "1", "--all")
    assert {line.split("\t")[0] for line in piped.out.split("\n")[:-1]} == {
        f"{EVIL}heart",
        "--help",
    }


def test_a_secret_in_a_table_is_in_no_message(tmp_path):
    secret = "Zebedee Quux 4711"
    data = table(tmp_path / "t.csv", [(f"{secret} {text}", label) for text, label in good(60)])
    out = tmp_path / "run"
    done = finetune(data, out, "-v", "--json", "--test-fraction", "0.2")
    assert done.code == 0 and secret not in done.err and secret not in done.out
    allowed = {"cache", "tokenizer", "wrong_answers.jsonl"}
    for path in out.rglob("*"):
        if path.is_file() and path.relative_to(out).parts[0] not in allowed:
            assert secret.encode() not in path.read_bytes(), path
    broken = io.StringIO()
    writer = csv.writer(broken, lineterminator="\n")
    writer.writerows([(secret, "x"), (secret, "x", secret), (f"{secret}", "")])
    bad = tmp_path / "bad.csv"
    for content in (
        "text,label\n" + broken.getvalue(),
        f'text,label\n"{secret},x\n',
        f"text,label\n{secret}\r{secret},x\n",
        f'{{"text": {secret}}}\n',
        f'{{"text": "{secret}", "label": ["{secret}"]}}\n',
    ):
        bad.write_text(content, newline="")
        form = "--jsonl" if content.startswith("{") else "--csv"
        for words in (
            ("finetune-classify", "none", bad, "--out", tmp_path / "other", *ONE_STEP, form),
            ("classify", out, bad, form, "--label-column", "label", "--threads", "1"),
        ):
            done = call(*words)
            assert done.code == 3 and secret not in done.err, (content, words, done.err)
