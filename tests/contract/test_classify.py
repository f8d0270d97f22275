"""classify and embed as they are used in a pipeline."""

import gzip
import json

import numpy as np
import pytest
from classifying.tables import QUICK, SMALL, rows, write

import charlm as library
from contract.command import call, charlm

LINES = "the heart murmur\nknee joint\n\nthe valve\tleaks \x1b[31m\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "it"
    settings = QUICK | SMALL | {"epochs": 10, "lr": 0.05, "dropout": 0, "test_fraction": 0.1}
    library.finetune_classifier("none", rows(90), out, **settings)
    return out


def classify(run, *options, stdin=LINES):
    return charlm("classify", run, *options, "--threads", "1", stdin=stdin.encode())


def test_a_line_in_a_line_out(run):
    done = classify(run)
    assert done.code == 0, done.err
    found = [line.split("\t", 2) for line in done.stdout.decode().split("\n")[:-1]]
    assert [cells[2] for cells in found] == LINES.split("\n")[:-1]
    wanted = list(library.load(run).classify(LINES.split("\n")[:-1]))
    for (label, probability, _), expected in zip(found, wanted, strict=True):
        assert label == expected.label and float(probability) == pytest.approx(
            expected.probability, abs=1e-4
        )


def test_every_class_and_none_that_is_too_unlikely(run):
    found = [line.split("\t") for line in classify(run, "--all").out.splitlines()]
    assert len(found) == 2 * 4
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert {first[0], second[0]} == {"heart", "bone"} and first[2] == second[2]
        assert float(first[1]) >= float(second[1])
    labels = [
        line.split("\t")[0] for line in classify(run, "--min-probability", "1").out.splitlines()
    ]
    assert labels == ["-"] * 4


def test_objects(run):
    found = [json.loads(line) for line in classify(run, "--json").out.splitlines()]
    assert [one["text"] for one in found] == LINES.split("\n")[:-1]
    for one in found:
        assert {"label", "probability", "probabilities"} <= set(one)
        assert one["probability"] == max(one["probabilities"].values())


@pytest.mark.parametrize("form", ("file", "pipe"))
def test_tables_and_metrics(run, tmp_path, form):
    table = write(tmp_path / "new.csv", rows(40, seed=7))
    if form == "file":
        done = charlm("classify", run, table, "--label-column", "label", "--json", "--threads", "1")
    else:
        text = table.read_text()
        done = classify(run, "--csv", "--label-column", "label", "--json", stdin=text)
    assert done.code == 0, done.err
    *found, last = (json.loads(line) for line in done.out.splitlines())
    right = [one["label"] == row.label for one, row in zip(found, rows(40, seed=7), strict=True)]
    assert (
        last["metrics"]["accuracy"] == pytest.approx(np.mean(right)) and last["metrics"]["n"] == 40
    )


@pytest.mark.parametrize(
    ("name", "is_table"),
    [("A.CSV", True), ("a.jsonl.gz", True), ("a.csv.txt", False), ("csv", False)],
)
def test_a_file_is_a_table_by_its_name(run, tmp_path, name, is_table):
    file, text = tmp_path / name, "text,label\nthe knee,bone\n"
    if "jsonl" in name:
        file.write_bytes(gzip.compress(b'{"text": "the knee"}\n'))
    else:
        file.write_text(text)
    done = charlm("classify", run, file, "--threads", "1")
    assert done.code == 0, done.err
    found = [line.split("\t")[2] for line in done.out.splitlines()]
    assert found == (["the knee"] if is_table else text.splitlines())


def test_a_table_in_another_encoding(run, tmp_path):
    table = write(tmp_path / "new.csv", rows(4))
    table.write_bytes(table.read_bytes().decode("utf-8").encode("latin-1"))
    done = charlm("classify", run, table, "--encoding", "latin-1", "--threads", "1")
    assert [line.split("\t")[2] for line in done.out.splitlines()] == [r.text for r in rows(4)]
    assert charlm("classify", run, table).code == 3


def test_a_cell_of_several_lines_is_shown_on_one(run):
    table = 'text,label\n"a heart\nbeats",heart\n'
    done = classify(run, "--csv", stdin=table)
    assert done.out.count("\n") == 1 and done.out.endswith("\ta heart\\nbeats\n")


def test_what_is_wrong_with_a_table_is_told(run, tmp_path):
    table = write(tmp_path / "new.csv", [*rows(3), rows(3)[0]._replace(label="liver")])
    done = charlm("classify", run, table, "--label-column", "label", "--threads", "1")
    assert done.code == 3 and "'liver'" in done.err and "row 5" in done.err
    done = charlm("classify", run, table, "--text-column", "note")
    assert done.code == 3 and "note" in done.err
    for options in (
        ("--csv", "--tsv"), ("--text-column", "a"), ("--no-header",),
        ("--all", "--min-probability", "0.5"), ("--all", "--json"),
    ):  # fmt: skip
        assert classify(run, *options).code == 2
    assert charlm("classify", run, "nowhere.txt").code == 3


def test_undecided_is_told_from_a_class_of_that_name(tmp_path):
    found = [row._replace(label={"heart": "+", "bone": "-"}[row.label]) for row in rows()]
    library.finetune_classifier("none", found, tmp_path / "run", **QUICK, **SMALL)
    assert classify(tmp_path / "run").code == 0
    done = classify(tmp_path / "run", "--min-probability", "0.9")
    assert done.code == 2 and "- is a class" in done.err


def test_a_language_model_classifies_nothing_and_a_classifier_writes_nothing(run, tiny_run):
    for words in (
        ("classify", tiny_run), ("generate", run), ("score", run), ("evaluate", run),
        ("audit", run, "--corpus", __file__),
    ):  # fmt: skip
        done = charlm(*words, stdin=b"a\n")
        assert done.code == 4 and "charlm" in done.err, words


def test_vectors_for_other_tools(run, tiny_run, tmp_path):
    for network in (run, tiny_run):
        done = charlm("embed", network, "--threads", "1", stdin=LINES.encode())
        assert done.code == 0, done.err
        found = np.array([line.split("\t") for line in done.out.splitlines()], np.float32)
        file = tmp_path / "vectors.npy"
        done = charlm("embed", network, "-o", file, "--threads", "1", stdin=LINES.encode())
        assert done.code == 0 and done.out == ""
        stored = np.load(file, allow_pickle=False)
        np.testing.assert_allclose(found, stored, rtol=1e-5, atol=1e-6)
        mean = charlm("embed", network, "--pooling", "mean", "--json", stdin=LINES.encode())
        vectors = [json.loads(line)["vector"] for line in mean.out.splitlines()]
        np.testing.assert_allclose(vectors, stored[:, -len(vectors[0]) :], atol=1e-5)
    assert charlm("embed", run, "-o", tmp_path / "x.txt", stdin=b"a\n").code == 2


def test_vectors_of_a_table_are_those_of_its_texts(run, tmp_path):
    """In whatever way it is written, and whatever columns stand beside."""
    texts = [row.text for row in rows(5)]
    wanted = charlm("embed", run, "--threads", "1", stdin="\n".join(texts).encode()).out
    assert wanted.count("\n") == 5
    table = write(tmp_path / "new.csv", rows(5))
    assert charlm("embed", run, table, "--threads", "1").out == wanted
    headless = "".join(f"heart\t{text}\n" for text in texts)
    lines = "".join(json.dumps({"id": 1, "note": text}) + "\n" for text in texts)
    for content, options in (
        (table.read_text(), ("--csv",)),
        (headless, ("--tsv", "--no-header", "--text-column", "1")),
        (lines, ("--jsonl", "--text-column", "note")),
    ):
        done = charlm("embed", run, *options, "--threads", "1", stdin=content.encode())
        assert (done.code, done.out) == (0, wanted), done.err
    done = charlm("embed", run, table, "--text-column", "label", "--threads", "1")
    assert done.code == 0 and done.out != wanted
    done = charlm("embed", run, "--json", "--csv", stdin=b'text,label\n"a heart\nbeats",x\n')
    assert json.loads(done.out)["text"] == "a heart\nbeats"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--text-column", "text"), 2, "line by line"),
        (("--no-header",), 2, "of a table"),
        (("--csv", "--tsv"), 2, "both given"),
        (("--csv", "--text-column", "note"), 3, "no column note"),
    ],
)
def test_a_table_that_is_none_has_no_vectors(run, options, code, said):
    done = charlm("embed", run, *options, stdin=b"text,label\na,b\n")
    assert done.code == code and said in done.err and done.out == ""


def test_lines_may_end_as_on_windows(run):
    lines = "a red heart\nthe bone\n"
    for verb in ("classify", "embed"):
        plain, windows = (
            charlm(verb, run, "--json", "--threads", "1", stdin=text.encode()).out
            for text in (lines, lines.replace("\n", "\r\n"))
        )
        assert plain == windows


def test_figures_on_the_texts_that_chose_are_said_to_be(tmp_path):
    table = write(tmp_path / "t.csv", rows(40))
    quick = ("--epochs", "1", "--hidden-size", "8", "--threads", "1", "--no-baseline")
    for part, said in (((), True), (("--test-fraction", "0.2"), False)):
        done = charlm(
            "finetune-classify", "none", table, "--out", tmp_path / f"r{said}", *quick, *part
        )
        assert done.code == 0 and ("chosen on these very texts" in done.err) is said
    done = charlm(
        "finetune-classify",
        "none",
        table,
        "--out",
        tmp_path / "all",
        *quick,
        "--valid-fraction",
        "0",
    )
    assert done.code == 0 and "wrong_answers" not in done.err


def test_a_dry_run_makes_nothing(tmp_path):
    table = write(tmp_path / "t.csv", rows(30))
    done = call(
        "finetune-classify", "none", table, "--dry-run", "--hidden-size", 16, "--threads", 1
    )
    assert done.code == 0 and "hidden_size = 16" in done.out and "pooling" in done.out
    plan = json.loads(call("finetune-classify", "none", table, "--dry-run", "--json").out)
    assert plan["classes"] == ["bone", "heart"] and plan["parameters"] > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]
