"""`--cell feedforward` and `conv` from training to every verb that reads a run."""

import json
from pathlib import Path

import pytest

import charlm
from contract.command import QUICK, call


@pytest.fixture(scope="module", params=["feedforward", "conv"])
def run(request: pytest.FixtureRequest, tiny_text: Path, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    out: Path = tmp_path_factory.mktemp("runs") / request.param
    done = call(
        "train", tiny_text, "--out", out, "--cell", request.param, *QUICK, "--steps", "30",
        "--context", "3", "--lr", "0.02",
    )  # fmt: skip
    assert done.code == 0, done.err
    return out


def test_every_verb_reads_it(run: Path, tiny_text: Path, tmp_path: Path) -> None:
    figures = json.loads(call("evaluate", run, tiny_text, "--json").out)
    lines = call("score", run, tiny_text, "--carry-state", "--json").out.splitlines()
    bits = sum(json.loads(line)["bits"] for line in lines)
    assert bits == pytest.approx(figures["bits_per_character"] * figures["characters"], rel=1e-5)
    seen = json.loads(call("look", run, tiny_text, "--unit", "1:2", "--json").out)
    assert set(seen["units"][0]["values"]) == {"h", "s1", "s2"}
    assert call("export", run, tmp_path / "e.charlm").code == 0
    written = [
        call("generate", which, "the ", "--length", "40").out
        for which in (run, tmp_path / "e.charlm")
    ]
    assert written[0] == written[1] and len(written[0]) > 40
    assert charlm.load(run).generate("the ", length=40) == written[0][4:]


def test_only_the_window_before_a_text_counts(run: Path) -> None:
    """Two tokens before the next one in the fixed window, four in two layers of convolution."""
    model = charlm.load(run)
    layers = model.config.model.layers
    prompts = ["aaaaaaaa", "bbbbbbbb"]
    reach = layers * (model.config.model.context - 1) + 1
    for same in (reach, reach - 1):
        logits = [
            [line.token_bits[-1] for line in model.score([prompt + "the patient sle"[:same] + "t"])]
            for prompt in prompts
        ]
        assert (logits[0] == pytest.approx(logits[1], rel=1e-5)) == (same >= reach)


def test_it_goes_on_where_it_was(run: Path, tiny_text: Path, tmp_path: Path) -> None:
    cell = charlm.load(run).config.model.cell
    about = ("--cell", cell, *QUICK)
    parts = tmp_path / "parts"
    for steps in ("3", "6"):
        more = ("--resume",) if steps == "6" else ()
        done = call("train", tiny_text, "--out", parts, *about, "--steps", steps, *more)
        assert done.code == 0, done.err
    # To the byte: tests/training/test_resume_conformance.py.
    assert json.loads((parts / "summary.json").read_text())["steps"] == 6
    done = call(
        "train", tiny_text, "--out", tmp_path / "next", "--init-from", run, "--steps", "2",
        "--threads", "1", "--precision", "fp32", "--device", "cpu",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert charlm.load(tmp_path / "next").config.model.context == 3


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_every_tokenizer(tokenizer: str, tiny_text: Path, tmp_path: Path) -> None:
    size = ("--vocab-size", "280") if tokenizer == "bpe" else ()
    done = call(
        "train", tiny_text, "--out", tmp_path / "run", "--cell", "feedforward", *QUICK,
        "--tokenizer", tokenizer, *size, "--direction", "backward",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert call("generate", tmp_path / "run", "ward.", "--length", "9").code == 0
