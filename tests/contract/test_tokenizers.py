"""Every kind of token through every verb: what goes in comes out, and adds up."""

import json
import math
from pathlib import Path

import pytest

from charlm.registry import TOKENIZERS
from contract.command import QUICK, call

TEXT = "The cat sat.  A “dog” ran\r\n\n\tthe CAT, 中\u2581 <unk> <s> zyx\n" * 40
NEW = "A cat\u2581 ran  \r\n\nAnd 龘 <s>, the\tdog!"


@pytest.fixture(scope="module", params=[*TOKENIZERS, "unk"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "text.txt").write_bytes(TEXT.encode())
    (folder / "new.txt").write_bytes(NEW.encode())
    options = ("--tokenizer", request.param)
    if request.param == "unk":
        options = ("--tokenizer", "word", "--word-oov", "unk", "--word-split", "whitespace")
    run = folder / "run"
    done = call("train", folder / "text.txt", "--out", run, *options, *QUICK, "--json")
    assert done.code == 0, done.err
    return run


def test_a_text_is_measured_scored_and_shown(run: Path) -> None:
    new = run.parent / "new.txt"
    figures = json.loads(call("evaluate", run, new, "--json").out)
    scored = call("score", run, new, "--carry-state", "--per-token", "--json").out
    lines = [json.loads(line) for line in scored.split("\n")[:-1]]
    assert (figures["characters"], figures["words"]) == (len(NEW), len(NEW.split()))
    assert sum(line["tokens"] for line in lines) == figures["tokens"]
    bits = sum(line["bits"] for line in lines)
    nats = figures["nats_per_token"] * figures["tokens"]
    assert bits * math.log(2) == pytest.approx(nats, rel=1e-5)
    assert figures["word_perplexity"] == pytest.approx(math.exp(nats / (len(NEW.split()) + 2)))
    shown = ["".join(token for token, _ in line["token_bits"]) for line in lines]
    if run.parent.name.startswith("unk"):
        unknown = len({"cat\u2581", "龘", "<s>,", "And", "dog!"})
        assert figures["oov_rate"] == unknown / len(NEW.split())
        assert figures["bits_per_character"] is figures["bits_per_byte"] is None
        assert [line["bits_per_character"] is None for line in lines] == [True, False, True]
        columns = call("score", run, new).out.split("\n")[:-1]
        assert [line.split("\t")[2] == "-" for line in columns] == [True, False, True]
        assert shown[1] == "\n"
    else:
        assert figures["oov_rate"] == 0
        assert figures["bits_per_character"] == pytest.approx(bits / len(NEW))
        assert shown[1] == "\n" and "<0x" in shown[2]


def test_new_text_is_the_same_from_an_exported_file(run: Path) -> None:
    options = ("--length", "60", "--num-samples", "2", "--json")
    written = call("generate", run, "The cat ", *options).out
    for line in written.split("\n")[:-1]:
        assert json.loads(line)["text"].startswith("The cat ")
    exported = run.parent / "model.charlm"
    assert call("export", run, exported).code == 0
    assert call("generate", exported, "The cat ", *options).out == written
    found = json.loads(call("info", exported, "--json").out)
    assert found["vocabulary_size"] > 10


def test_resuming_keeps_the_tokenizer(run: Path) -> None:
    more = call("train", "--resume", "--out", run, "--steps", "5", "--json")
    assert more.code == 0, more.err
    assert json.loads(more.out)["steps"] == 5
    refused = call("train", "--resume", "--out", run, "--lowercase", "--steps", "6")
    assert refused.code == 2 and "--lowercase is True, and the run has False" in refused.err
