"""--init-from: weights that another run has learned, for the tokens of another text."""

import json
import shutil

import numpy as np
import pytest
from contract.command import call
from reference.stored_runs import assert_same_arrays, weights

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


def test_the_file_of_a_dry_run_with_it_may_be_given(tiny_run, tiny_text, tmp_path):
    file = tmp_path / "resolved.toml"
    words = ("--steps", "3", "--dry-run", *("--valid-fraction", "0.2"))
    file.write_text(call("train", tiny_text, "--init-from", tiny_run, *words).out)
    again = call("train", tiny_text, "--config", file, "--dry-run")
    assert again.code == 0, again.err
    assert again.out == file.read_text()


@pytest.mark.parametrize(
    "words", [("--inter-layer-dropout", "0.3"), ("--ngram-order", "1", "--ngram-lr", "0.1")]
)
def test_what_the_network_of_the_weights_cannot_use_is_refused(
    words, tiny_run, tiny_text, tmp_path
):
    out = tmp_path / "run"
    done = call("train", tiny_text, "--init-from", tiny_run, *words, "--out", out)
    assert done.code == 2 and words[-2] in done.err
    assert not out.exists()


def test_a_sample_of_the_words_of_clusters_is_refused(tiny_text, tmp_path):
    adaptive = {"tokenizer": "word", "softmax": "adaptive", "hidden_size": 8, "threads": 1}
    charlm.train([tiny_text], tmp_path / "run", steps=1, **adaptive)
    with pytest.raises(UsageError, match="--softmax-sample"):
        charlm.train(
            [tiny_text], tmp_path / "new", init_from=str(tmp_path / "run"), softmax_sample=300,
            steps=1,
        )  # fmt: skip


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
    assert_same_arrays(weights(whole), weights(halves))


def test_another_source_is_another_run(tiny_run, other_text, tmp_path):
    out = tmp_path / "run"
    charlm.train([other_text], out, init_from=str(tiny_run), steps=1, **QUICK)
    with pytest.raises(UsageError, match="--init-from"):
        charlm.train([other_text], out, resume=True, init_from="elsewhere", steps=2)


def test_a_run_is_not_overwritten_by_one_that_starts_from_it(tiny_run, other_text, tmp_path):
    """Killed before its first save, it would leave neither."""
    run = shutil.copytree(tiny_run, tmp_path / "run", symlinks=True)
    link = tmp_path / "link"
    link.symlink_to(run)
    for source in (run, link):
        with pytest.raises(UsageError, match="--init-from starts from"):
            charlm.train([other_text], run, init_from=source, force=True, steps=1, **QUICK)
    assert charlm.load(run).generate("the ", length=5) == charlm.load(tiny_run).generate(
        "the ", length=5
    )


def test_zoneout_goes_along_unless_something_else_is_asked_for(tiny_text, tmp_path):
    zone = {"temporal_dropout": 0.5, "temporal_dropout_kind": "zoneout", "dropout": 0.8}
    source = tmp_path / "source"
    small = {"hidden_size": 12, "embedding_size": 6}
    charlm.train([tiny_text], source, steps=20, lr=0.03, **zone, **small, **QUICK)
    figures = charlm.load(source).evaluate()
    adopted, asked = tmp_path / "adopted", tmp_path / "asked"
    charlm.train([tiny_text], adopted, init_from=source, steps=1, lr=1e-30, **QUICK)
    assert charlm.load(adopted).config.zoneout == pytest.approx(0.4)
    found = charlm.load(adopted).evaluate()["nats_per_token"]
    assert found == pytest.approx(figures["nats_per_token"], rel=1e-6)
    other = {"temporal_dropout": 0.1, "temporal_dropout_kind": "variational"}
    charlm.train([tiny_text], asked, init_from=source, steps=1, lr=1e-30, **other, **QUICK)
    assert charlm.load(asked).config.zoneout == 0


def test_tokenizing_goes_along_setting_by_setting(tiny_text, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    small = {"hidden_size": 8, "embedding_size": 4}
    charlm.train([tiny_text], source, tokenizer="word", min_count=5, steps=1, **small, **QUICK)
    charlm.train([tiny_text], out, init_from=source, lowercase=True, steps=1, **QUICK)
    tokenizer = charlm.load(out).config.tokenizer
    assert (tokenizer.tokenizer, tokenizer.min_count, tokenizer.lowercase) == ("word", 5, True)
    other = tmp_path / "other"
    charlm.train([tiny_text], other, init_from=source, tokenizer="char", steps=1, **QUICK)
    assert charlm.load(other).config.tokenizer.min_count == "auto"


def test_an_exported_file_does_not_say_where_it_came_from(tiny_run, other_text, tmp_path):
    out, file = tmp_path / "run", tmp_path / "model.charlm"
    charlm.train([other_text], out, init_from=str(tiny_run), steps=1, **QUICK)
    charlm.api.export(out, file)
    assert str(tiny_run).encode() not in file.read_bytes()
    again = tmp_path / "again"
    charlm.train([other_text], again, init_from=str(file), steps=1, **QUICK)
    assert charlm.load(again).config.model.hidden_size == 24


def test_a_run_that_diverges_goes_back_to_the_weights_it_began_with(
    tiny_run, other_text, tmp_path, monkeypatch
):
    """Once a loss is not finite: the end is that of half the rate from the beginning, though the
    source has gone meanwhile."""
    from charlm.training.language_modelling import LanguageModelling

    source = shutil.copytree(tiny_run, tmp_path / "source", symlinks=True)
    how = {**QUICK, "steps": 4, "schedule": "constant", "warmup_steps": 0, "eval_every": 4}
    how |= {"save_every": 0}  # `last` is past the beginning
    halved, diverged = tmp_path / "halved", tmp_path / "diverged"
    charlm.train([other_text], halved, init_from=source, lr=0.005, **how)
    loss, bad = LanguageModelling.loss, [2]

    def once_bad(self, step):
        found = loss(self, step)
        if step in bad:
            bad.remove(step)
            shutil.rmtree(source)
            found = found._replace(loss=found.loss * float("nan"))
        return found

    monkeypatch.setattr(LanguageModelling, "loss", once_bad)
    charlm.train([other_text], diverged, init_from=source, lr=0.01, **how)
    assert bad == []
    weights = [checkpoints.load(run, "last").groups["weights"] for run in (halved, diverged)]
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name], err_msg=name)
