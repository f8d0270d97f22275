"""The smallest texts and the oddest prompts: trained on and read, or a clear 3."""

import json
import re

import pytest
from contract.command import QUICK, call, charlm

from charlm import api as charlm_api
from charlm import registry

TEXTS = {
    "empty": "",
    "one character": "a",
    "a line break": "\n",
    "two characters": "ab",
    "one symbol": "a" * 500,
    "line breaks": "\n" * 500,
    "shorter than a window": "the patient slept well\n" * 2,
    "one long word": "word" * 200,
}


SOME = ("one character", "one symbol")  # for every tokenizer, outside the long run


@pytest.mark.parametrize("tokenizer", registry.TOKENIZERS)
@pytest.mark.parametrize("name", TEXTS)
def test_the_smallest_texts(tmp_path, name, tokenizer, long_run):
    if not long_run and tokenizer != "char" and name not in SOME:
        pytest.skip("in the long run")
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(TEXTS[name])
    options = [*QUICK, "--batch-size", "32", "--bptt", "64", "--tokenizer", tokenizer]
    ended = call("train", text, "--out", run, *options, "--json")
    assert "Traceback" not in ended.err and "bug" not in ended.err
    if ended.code == 3:
        said = r"needs?|least|empty|more text|too (short|little)|no text|whitespace"
        assert re.search(said, ended.err), ended.err
        assert not run.exists() or not (run / "config.toml").exists()
        return
    assert ended.code == 0, ended.err
    assert "reduced" in ended.err
    found = json.loads(ended.out)
    assert found["steps"] == 3
    assert call("generate", run, "--length", "5").code == 0


def test_one_symbol_trains(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXTS["one symbol"])
    assert call("train", text, "--out", tmp_path / "run", *QUICK).code == 0


@pytest.mark.parametrize(
    "prompt", ["", "\n", "\x00", "x" * 30_000, "\U0001f600" * 50, "\u202e", " " * 2000],
    ids=["empty", "line break", "NUL", "long", "unseen", "bidirectional", "spaces"],
)  # fmt: skip
def test_prompts_of_every_length(tiny_run, prompt):
    arguments = ("generate", tiny_run, "-", "--length", "3", "--json")
    ended = charlm(*arguments, stdin=(prompt + "\n").encode())
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["prompt"] == prompt and found["tokens"] >= 3 and found["finish"] == "length"
    model = charlm_api.load(tiny_run)
    for more in ({"top_p": 0}, {"top_k": 100_000}, {"length": 0}):
        assert len(model.generate(prompt, **({"length": 3} | more))) <= 12
