"""`charlm correct`: text in, text out; every option changes something."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import charlm
from contract.command import call
from contract.command import charlm as run_charlm

WRONG = "the pateint came to ward\tfour.\r\nshe slept wel after tea \u200b at noon\n[/b] gaveher\n"


@pytest.fixture(scope="module")
def run(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned which words there are."""
    run = tmp_path_factory.mktemp("runs") / "reader"
    charlm.train(
        [tiny_text], run, steps=250, hidden_size=48, embedding_size=16, batch_size=8, bptt=24,
        lr=0.03, precision="fp32", device="cpu", threads=1,
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def backward_run(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "backward"
    charlm.train(
        [tiny_text], run, direction="backward", steps=40, hidden_size=16, embedding_size=8,
        batch_size=4, bptt=16, lr=0.03, precision="fp32", device="cpu", threads=1,
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("correct") / "wrong.txt"
    path.write_bytes(WRONG.encode())
    return path


def correct(*arguments: str | Path) -> str:
    done = call("correct", *arguments)
    assert done.code == 0, done.err
    return done.stdout.decode()


def objects(*arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in correct(*arguments, "--json").split("\n")[:-1]]


def test_text_in_text_out(run: Path, wrong: Path) -> None:
    found = correct(run, wrong, "--threshold", "0")
    assert found == WRONG.replace("pateint", "patient").replace("wel ", "well ")
    piped = run_charlm("correct", run, "--threshold", "0", stdin=WRONG.encode())
    assert piped.out == found and "2 of 15 words corrected" in piped.err
    assert correct(run, wrong, "--threshold", "1e6") == WRONG


def test_json_and_candidates(run: Path, wrong: Path) -> None:
    found = objects(run, wrong, "--threshold", "0")
    assert [line["line"] for line in found] == correct(run, wrong, "--threshold", "0").split("\n")[
        :-1
    ]
    (word,) = found[0]["words"]
    assert list(word) == ["word", "at", "correction", "candidates"]
    assert (word["word"], word["at"], word["correction"]) == ("pateint", 4, "patient")
    gains = [gain for _, gain in word["candidates"]]
    assert gains == sorted(gains, reverse=True)
    lines = correct(run, wrong, "--threshold", "0", "--candidates").splitlines()
    assert [line.split("\t")[:2] for line in lines[:2]] == [["1", "pateint"], ["2", "wel"]]
    assert lines[0].split("\t")[2].endswith(" patient")
    (few, *_) = objects(run, wrong, "--threshold", "0", "--most", "1")[0]["words"]
    assert len(few["candidates"]) == 1


def test_the_threshold_follows_the_false_alarms(run: Path, wrong: Path, tmp_path: Path) -> None:
    """Where the person's own words look like errors, none of them may be changed."""
    own = tmp_path / "own.txt"
    own.write_text("the pateint came to ward four.\nshe slept wel after tea.\n" * 3, "utf-8")
    about = (run, wrong, "--held-out", own)
    assert correct(*about, "--false-alarms", "0") == WRONG
    assert "patient" in correct(*about, "--false-alarms", "0.9")
    assert "patient" in correct(run, wrong)  # by the run's valid part


def test_words_are_counted_where_they_are_said_to_be(
    run: Path, wrong: Path, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("pateint slept well after noon gave her\n", "utf-8")
    found = objects(run, wrong, "--words", words, "--threshold", "0")
    assert "pateint" not in [word["word"] for word in found[0]["words"]]
    assert "gave her" in [text for text, _ in found[2]["words"][0]["candidates"]]


def test_only_a_line_break_ends_a_line_of_what_is_right(
    run: Path, wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a carriage return, nor U+2028, nor the end of what is read at once."""
    from charlm.evaluation.spelling import Corrector
    from charlm.text import corpus

    right, read = tmp_path / "right.txt", []
    right.write_bytes("the pateint\rcame\x0bto\u2028ward\n\nfour pateint".encode())
    decoded = corpus.decoded
    monkeypatch.setattr(
        corpus, "decoded", lambda *all, **how: decoded(*all, **how | {"chunk_bytes": 5})
    )

    def calibrate(self: Corrector, groups: Any, false_alarms: float) -> tuple[int, int]:
        read.extend(line for group in groups for line in group)
        return 0, 0

    monkeypatch.setattr(Corrector, "calibrate", calibrate)
    correct(run, wrong, "--held-out", right)
    assert read == ["the pateint\rcame\x0bto\u2028ward\n", "\n", "four pateint"]
    found = correct(run, wrong, "--words", right, "--threshold", "0")
    assert "pateint came" in found


@pytest.mark.parametrize("option", ["--words", "--held-out"])
def test_what_is_right_may_have_the_encoding_of_what_is_wrong(
    run: Path, wrong: Path, tmp_path: Path, option: str
) -> None:
    odd = tmp_path / "odd.txt"
    odd.write_bytes("the pateint came to ward. un thé.\n".encode("latin-1") * 3)
    refused = call("correct", run, wrong, option, odd)
    assert refused.code == 3 and "--encoding" in refused.err
    for way in (["--encoding", "latin-1"], ["--errors", "replace"]):
        assert call("correct", run, wrong, option, odd, *way).code == 0


def test_a_backward_run_is_heard_too(run: Path, backward_run: Path, wrong: Path) -> None:
    both = objects(run, wrong, "--threshold", "0", "--backward", backward_run)
    one = objects(run, wrong, "--threshold", "0")
    other = objects(backward_run, wrong, "--threshold", "0")
    gains = [dict(found[0]["words"][0]["candidates"])["patient"] for found in (both, one, other)]
    assert gains[0] == pytest.approx((gains[1] + gains[2]) / 2, rel=1e-4)
    assert gains[1] != pytest.approx(gains[2], rel=1e-4)
    done = call("correct", run, wrong, "--threshold", "0", "--backward", run)
    assert done.code == 2 and "--direction" in done.err


def test_an_exported_run_has_no_words(run: Path, wrong: Path, tmp_path: Path) -> None:
    file = tmp_path / "e.charlm"
    assert call("export", run, file).code == 0
    done = call("correct", file, wrong)
    assert done.code == 3 and "--words" in done.err
    words = tmp_path / "words.txt"
    words.write_text("the patient\n", "utf-8")
    done = call("correct", file, wrong, "--words", words)
    assert done.code == 3 and "--held-out" in done.err
    assert "patient" in correct(file, wrong, "--words", words, "--threshold", "0")


@pytest.mark.parametrize("tokenizer", ["word", "byte", "bpe"])
def test_every_tokenizer(tokenizer: str, tiny_text: Path, wrong: Path, tmp_path: Path) -> None:
    size = {"vocab_size": 280} if tokenizer == "bpe" else {}
    charlm.train(
        [tiny_text], tmp_path / "other", tokenizer=tokenizer, cell="gru", steps=30, hidden_size=16,
        batch_size=4, bptt=8, precision="fp32", device="cpu", threads=1, **size,
    )  # fmt: skip
    found = correct(tmp_path / "other", wrong, "--threshold", "0")
    assert found.count("\n") == 3 and "ward\tfour.\r\n" in found
    assert found != WRONG or tokenizer != "word"


def test_encoding_and_errors(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes("caf\xe9 pateint\n".encode("latin-1"))
    assert call("correct", run, file).code == 3
    how = ("--threshold", "0")
    assert correct(run, file, *how, "--encoding", "latin-1") == "café patient\n"
    assert correct(run, file, *how, "--errors", "replace").endswith("\ufffd patient\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--threshold", "nan"), "--threshold"),
        (("--false-alarms", "1"), "--false-alarms"),
        (("--most", "0"), "--most"),
        (("--threshold", "1", "--false-alarms", "0.1"), "--false-alarms"),
        (("--threshold", "1", "--held-out", "x"), "--held-out"),
        (("--candidates", "--json"), "--candidates"),
    ],
    ids=str,
)
def test_refused(arguments: tuple[str, ...], said: str, run: Path, wrong: Path) -> None:
    done = call("correct", run, wrong, *arguments)
    assert done.code == 2 and said in done.err and done.out == ""


def test_what_is_not_there(run: Path, wrong: Path, tmp_path: Path) -> None:
    assert call("correct", run, tmp_path / "none").code == 3
    assert call("correct", tmp_path / "none", wrong).code == 4
    assert call("correct", run, wrong, "--words", tmp_path / "none").code == 3
    assert call("correct", run, wrong, "--words", os.devnull).code == 3
    assert correct(run, os.devnull) == ""
