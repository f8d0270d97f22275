"""--init-from: weights that another run has learned, for the tokens of another text."""

import json
import shutil

import numpy as np
import pytest
from contract.command import call

import charlm
from charlm.errors import RunError, UsageError
from charlm.loaded import Model
from charlm.runs import checkpoint as checkpoints
from charlm.runs.export import read_model
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.transfer import mapped

QUICK = {"threads": 1, "precision": "fp32", "device": "cpu", "batch_size": 4, "bptt": 16}


@pytest.fixture
def other_text(tmp_path):
    """Some characters that `tiny_text` has, and some that it has not."""
    path = tmp_path / "other.txt"
    path.write_text("le café était ouvert, dit-elle; où ça? là\n" * 30, encoding="utf-8")
    return path


def tokens(tokenizer):
    return {tokenizer.token_identity(t): t for t in range(tokenizer.vocabulary_size)}


def test_rows_go_by_what_tokens_stand_for_and_new_ones_start_at_the_mean():
    source = fit_tokenizer(TokenizerSettings(kind="char"), ["abc\n" * 9])
    target = fit_tokenizer(TokenizerSettings(kind="char"), ["bcd\n" * 9])
    rng = np.random.default_rng(0)
    V = source.vocabulary_size
    weights = {
        "embedding.weight": rng.normal(0, 1, (V, 3)).astype(np.float32),
        "decoder.weight": rng.normal(0, 1, (V, 4)).astype(np.float32),
        "decoder.bias": rng.normal(0, 1, V).astype(np.float32),
        "layers.0.weight_hh": rng.normal(0, 1, (V, 4)).astype(np.float32),
    }
    found = mapped(weights, source, target)
    assert found.tokens == target.vocabulary_size
    assert found.shared == len(tokens(source).keys() & tokens(target).keys()) == V - 1
    places = tokens(source)
    for name in ("embedding.weight", "decoder.weight", "decoder.bias"):
        for identity, token in tokens(target).items():
            row = found.weights[name][token]
            if identity in places:
                np.testing.assert_array_equal(row, weights[name][places[identity]])
            else:
                assert identity == ("text", "d")
                np.testing.assert_allclose(row, weights[name].mean(axis=0), atol=1e-6)
    assert found.weights["layers.0.weight_hh"] is weights["layers.0.weight_hh"]


def test_a_run_begins_with_the_weights_and_the_sizes_of_another(tiny_run, other_text, tmp_path):
    out = tmp_path / "run"
    charlm.train([other_text], out, init_from=str(tiny_run), lr=1e-30, steps=1, **QUICK)
    source, begun = Model(read_model(tiny_run)), Model(read_model(out))
    assert begun.config.model.hidden_size == source.config.model.hidden_size == 24
    wanted = mapped(source.stored.weights, source.tokenizer, begun.tokenizer)
    assert 257 < wanted.shared < wanted.tokens
    for name, array in wanted.weights.items():
        np.testing.assert_allclose(begun.stored.weights[name], array, atol=1e-6, err_msg=name)


def test_what_was_learned_helps(tiny_run, tiny_text, tmp_path):
    fresh = {"hidden_size": 24, "embedding_size": 12}
    figures = [
        charlm.train([tiny_text], tmp_path / str(n), steps=5, **QUICK, **how)["valid"]
        for n, how in enumerate((fresh, {"init_from": str(tiny_run)}))
    ]
    assert figures[1]["nats_per_token"] < figures[0]["nats_per_token"] - 0.3


@pytest.mark.parametrize(
    ("option", "value", "seen"),
    [
        ("--hidden-size", "25", "24"),
        ("--cell", "gru", "lstm"),
        ("--direction", "backward", "forward"),
        ("--init", "uniform", "begun"),
    ],
)
def test_what_the_weights_do_not_have_is_refused(
    option, value, seen, tiny_run, tiny_text, tmp_path
):
    out = tmp_path / "run"
    done = call("train", tiny_text, "--init-from", tiny_run, option, value, "--out", out)
    assert done.code == 2
    assert option in done.err and seen in done.err and "--init-from" in done.err
    assert not out.exists()


def test_what_the_weights_have_may_be_said(tiny_run, tiny_text):
    words = ("--hidden-size", "24", "--cell", "lstm", "--dry-run", "--json")
    done = call("train", tiny_text, "--init-from", tiny_run, *words)
    assert done.code == 0, done.err
    assert json.loads(done.out)["config"]["model"]["embedding_size"] == 12


def test_no_run_there(tiny_text, tmp_path):
    with pytest.raises(RunError):
        charlm.train([tiny_text], tmp_path / "run", init_from=str(tmp_path / "nothing"), steps=1)
    assert not (tmp_path / "run").exists()


def test_the_source_need_not_be_there_to_go_on(tiny_run, other_text, tmp_path):
    source = shutil.copytree(tiny_run, tmp_path / "source", symlinks=True)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    begin = {"init_from": str(source), **QUICK, "lr": 0.01, "schedule": "constant"}
    charlm.train([other_text], whole, steps=4, **begin)
    charlm.train([other_text], halves, steps=2, **begin)
    shutil.rmtree(source)
    charlm.train(out=halves, resume=True, steps=4)
    weights = [checkpoints.load(run, "last").groups["weights"] for run in (whole, halves)]
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])


def test_another_source_is_another_run(tiny_run, other_text, tmp_path):
    out = tmp_path / "run"
    charlm.train([other_text], out, init_from=str(tiny_run), steps=1, **QUICK)
    with pytest.raises(UsageError, match="--init-from"):
        charlm.train([other_text], out, resume=True, init_from="elsewhere", steps=2)


def test_a_run_can_be_replaced_by_one_that_starts_from_it(tiny_run, other_text, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run", symlinks=True)
    summary = charlm.train([other_text], run, init_from=str(run), force=True, steps=1, **QUICK)
    assert summary["steps"] == 1


def test_an_exported_file_does_not_say_where_it_came_from(tiny_run, other_text, tmp_path):
    out, file = tmp_path / "run", tmp_path / "model.charlm"
    charlm.train([other_text], out, init_from=str(tiny_run), steps=1, **QUICK)
    charlm.api.export(out, file)
    assert str(tiny_run).encode() not in file.read_bytes()
    again = tmp_path / "again"
    charlm.train([other_text], again, init_from=str(file), steps=1, **QUICK)
    assert charlm.load(again).config.model.hidden_size == 24
