"""Runs that learn from a sample of their vocabulary at each step."""

import numpy as np
import pytest
from contract.command import call
from reference.stored_runs import assert_same_arrays, assert_stopped_is_never_stopped, weights

import charlm

# Of the words 257 tokens are bytes and a marker, which are always there.
HOW = {"tokenizer": "word", "hidden_size": 20, "embedding_size": 10, "batch_size": 3, "bptt": 12,
       "lr": 0.03, "threads": 1, "precision": "fp32", "device": "cpu"}  # fmt: skip


@pytest.fixture(scope="module")
def run(tiny_text, tmp_path_factory):
    out = tmp_path_factory.mktemp("sampled") / "run"
    charlm.train([tiny_text], out, steps=60, softmax_sample=18, **HOW)
    return out


def test_it_learns_what_the_whole_softmax_says(run, tiny_text, tmp_path):
    """It is measured by the whole softmax, and comes near to a run that learned by it."""
    charlm.train([tiny_text], tmp_path / "whole", steps=60, softmax_sample=None, **HOW)
    models = [charlm.load(run), charlm.load(tmp_path / "whole")]
    sampled, whole = (model.evaluate([tiny_text])["nats_per_token"] for model in models)
    assert sampled < 0.6 * np.log(models[0].tokenizer.vocabulary_size)
    assert sampled == pytest.approx(whole, abs=0.25)
    assert models[0].score(["the patient"])


@pytest.mark.parametrize("size", ["18", "none"])
def test_that_its_loss_is_of_some_words_is_said(size, tiny_text, tmp_path):
    """A person would think that it learns by heart, where training is far below validation."""
    words = ["--out", str(tmp_path / "run"), "--tokenizer", "word", "--softmax-sample", size]
    done = call("train", tiny_text, *words, "--steps", "1", "--hidden-size", "4")
    assert done.code == 0
    assert ("A step learns from about 18 of " in done.err) is (size == "18")


def test_the_smallest_sample_learns_too(run, tiny_text, tmp_path):
    """Though those that others are spelled with are more than it."""
    charlm.train([tiny_text], tmp_path / "one", steps=60, softmax_sample=1, **HOW)
    model = charlm.load(tmp_path / "one")
    nats = model.evaluate([tiny_text])["nats_per_token"]
    assert nats < 0.8 * np.log(model.tokenizer.vocabulary_size)


def test_a_sample_of_all_is_all(tiny_text, tmp_path):
    for name, size in (("none", None), ("many", 10**6)):
        charlm.train([tiny_text], tmp_path / name, steps=4, softmax_sample=size, **HOW)
    assert_same_arrays(weights(tmp_path / "none"), weights(tmp_path / "many"))


def test_stopped_and_gone_on_is_never_stopped(tiny_text, tmp_path):
    # `auto` takes dropouts by the budget, and half the steps are half of it.
    dropouts = {"input_dropout": 0.1, "temporal_dropout": 0.1, "output_dropout": 0.2}
    how = HOW | {"schedule": "constant", "softmax_sample": 18} | dropouts
    assert_stopped_is_never_stopped(tiny_text, tmp_path, 6, **how)


def test_a_run_of_before_there_were_samples_goes_on_without(tiny_text, tmp_path):
    """It has no such setting, and learned by the whole softmax."""
    how = HOW | {"schedule": "constant", "softmax_sample": None}
    charlm.train([tiny_text], tmp_path / "whole", steps=4, **how)
    charlm.train([tiny_text], tmp_path / "old", steps=2, **how)
    config = tmp_path / "old" / "config.toml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("softmax_sample")))
    assert config.read_text() != "".join(lines)
    charlm.train(out=tmp_path / "old", resume=True, steps=4)
    assert_same_arrays(weights(tmp_path / "whole"), weights(tmp_path / "old"))
