"""`charlm generate` with a run that reads from the end: PROMPT is what follows the text."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

import charlm
from contract.command import call

SEPARATOR = "---"


@pytest.fixture(scope="module")
def backward_run(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "backward"
    charlm.train(
        [tiny_text], run, direction="backward", steps=40, hidden_size=24, embedding_size=12,
        batch_size=4, bptt=16, lr=0.03, warmup_steps=5, precision="fp32", device="cpu", threads=1,
    )  # fmt: skip
    return run


def text(run: Path, *arguments: str | Path) -> str:
    done = call("generate", run, *arguments)
    assert done.code == 0, done.err
    return done.out


def objects(run: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(run, *arguments, "--json").split("\n")[:-1]]


def test_prompt_stands_after_the_text(backward_run: Path) -> None:
    new = text(backward_run, " bread.\n", "--length", "30", "--no-echo")
    assert 20 < len(new) <= 30
    assert text(backward_run, " bread.\n", "--length", "30") == new + " bread.\n"
    assert text(backward_run, "--length", "30") != new, "the prompt was read"
    assert text(backward_run, " bread.\n", "--length", "0") == " bread.\n"


def test_shorter_samples_are_the_ends_of_longer_ones(backward_run: Path) -> None:
    unit = ("--length-unit", "characters")
    long = text(backward_run, "ward.\n", "--length", "40", *unit)
    assert len(long) == 46
    assert text(backward_run, "ward.\n", "--length", "25", *unit) == long[15:]


def test_several_samples_and_json(backward_run: Path) -> None:
    args = ("ward.\n", "--length", "20", "--num-samples", "3")
    found = objects(backward_run, *args)
    assert list(found[0]) == ["prompt", "text", "tokens", "nats_per_token", "finish"]
    assert len({sample["text"] for sample in found}) == 3
    assert all(sample["text"].endswith("ward.\n") for sample in found)
    assert text(backward_run, *args) == f"{SEPARATOR}\n".join(sample["text"] for sample in found)
    alone = objects(backward_run, *args, "--no-echo")
    assert [sample["text"] + "ward.\n" for sample in alone] == [s["text"] for s in found]


@pytest.mark.parametrize("how", [[], ["--beam", "4"], ["--greedy"]], ids=str)
def test_what_stands_before_a_stop_text_is_left_out(how: list[str], backward_run: Path) -> None:
    args = ("ward.\n", "--length", "40", "--no-echo", *how)
    (full,) = objects(backward_run, *args)
    (found,) = objects(backward_run, *args, "--stop", " ")
    if "--beam" not in how:  # a search with other ends finds other texts
        assert found["text"] == full["text"].rsplit(" ", 1)[1]
    assert found["finish"] == "stop" and " " not in found["text"]
    assert found["tokens"] == len(found["text"]) + 1


def test_nats_are_those_that_score_charges(backward_run: Path, tmp_path: Path) -> None:
    """`score` reads a line from its end too: text and prompt together, the prompt's cost apart."""
    how = ["--length", "12", "--stop", "\n", "--seed", "2", "--no-echo", "--precision", "fp32"]
    (found,) = objects(backward_run, *how)
    file = tmp_path / "line"
    file.write_text(found["text"], "utf-8")
    done = call("score", backward_run, file, "--json")
    scored = json.loads(done.out)
    stopped = found["finish"] == "stop"
    assert scored["tokens"] == found["tokens"] - stopped
    nats = found["nats_per_token"] * found["tokens"]
    if stopped:  # the line break was drawn too, which `score` reads with no line before its own
        assert scored["bits"] < nats / math.log(2)
    else:
        assert scored["bits"] == pytest.approx(nats / math.log(2), rel=1e-4)


def test_samples_while_training_are_in_reading_order(backward_run: Path) -> None:
    model = charlm.load(backward_run)
    sample = backward_run / "samples" / f"{model.info()['step']}.txt"
    options: dict[str, Any] = {"length": 160, "length_unit": "characters"}
    assert model.generate(**options) == sample.read_text("utf-8")
    assert list(model.stream("ward.\n", **options)) == [model.generate("ward.\n", **options)]
    assert model.prompt_follows


def test_exported_file_writes_the_same(backward_run: Path, tmp_path: Path) -> None:
    assert call("export", backward_run, tmp_path / "b.charlm").code == 0
    assert text(tmp_path / "b.charlm", "ward.\n") == text(backward_run, "ward.\n")
