"""Runs with an adaptive softmax: everything that is done with any other."""

import numpy as np
import pytest
import torch
from classifying.tables import QUICK, SMALL, rows
from reference.stored_runs import assert_stopped_is_never_stopped

import charlm
from charlm import api, registry
from charlm.errors import RunError, UsageError
from charlm.evaluation.target_nats import TargetNats
from charlm.generation.compiled import CompiledDecoder
from charlm.model.cluster_ranks import cutoffs_of
from charlm.runs.export import read_model

# Of the words 257 tokens are bytes and a marker; then come 5 in the head, 8 and the rest.
WORDS = {"tokenizer": "word", "softmax": "adaptive", "cutoffs": "262,270"}
HOW = {"hidden_size": 20, "embedding_size": 10, "batch_size": 3, "bptt": 12, "lr": 0.03,
       "threads": 1, "precision": "fp32", "device": "cpu"}  # fmt: skip


@pytest.fixture(scope="module")
def run(tiny_text, tmp_path_factory):
    out = tmp_path_factory.mktemp("adaptive") / "run"
    charlm.train([tiny_text], out, steps=40, **WORDS, **HOW)
    return out


def test_it_learns_and_is_measured_as_it_is_scored(run, tiny_text):
    model = charlm.load(run)
    lines = tiny_text.read_text().splitlines(keepends=True)
    figures = model.evaluate([tiny_text])
    assert figures["nats_per_token"] < 0.7 * np.log(model.tokenizer.vocabulary_size)
    bits = sum(line.bits for line in model.score(lines, carry_state=True))
    assert bits / np.log2(np.e) == pytest.approx(figures["nats_per_token"] * figures["tokens"])


def test_frequent_tokens_come_first(run):
    model = charlm.load(run)
    ranks = model.stored.weights["decoder.ranks"]
    first = [model.tokenizer.token_text(int(token)) for token in np.argsort(ranks)[257:262]]
    assert "\n" in first and "." in first
    assert cutoffs_of(model.stored.weights) == (262, 270)


def test_a_temperature_is_of_the_whole_distribution(run, tiny_text):
    """Not of the head and of each cluster by themselves."""
    model = charlm.load(run).language_model
    tokenizer = charlm.load(run).tokenizer
    ids = tokenizer.encode(tiny_text.read_text()[:300]).astype(np.int64)
    with torch.no_grad():
        outputs = model(torch.from_numpy(ids[:-1, None]), model.empty_state(1)).outputs
        states = tokenizer.grammar.run(np.zeros(1, np.uint8), ids[1:, None])[0]
        plain = np.stack(
            [TargetNats(model, tokenizer.grammar)(outputs, np.full_like(ids[1:, None], v), states)
             for v in range(tokenizer.vocabulary_size)]
        )  # fmt: skip
    legal = tokenizer.grammar.legal[states].transpose(2, 0, 1)
    mass = np.where(legal, np.exp(-plain) ** 2, 0)
    assert np.exp(-np.where(legal, plain, np.inf)).sum(axis=0) == pytest.approx(1)
    wanted = -np.log(np.take_along_axis(mass, ids[None, 1:, None], 0)[0] / mass.sum(axis=0))
    found = TargetNats(model, tokenizer.grammar, 0.5)(outputs, ids[1:, None], states)
    free = states == 0  # where the floors, which are not tempered, are small
    assert free.mean() > 0.8
    np.testing.assert_allclose(found[free], wanted[free], rtol=5e-3, atol=5e-5)


def test_dynamic_evaluation_and_the_cache(run, tiny_text):
    figures = charlm.load(run).evaluate([tiny_text], dynamic=True, cache=True)
    for way in ("dynamic", "cache"):
        change = figures[way]["nats_per_token"] - figures["nats_per_token"]
        assert 0 < abs(change) < 1


def test_both_decoders_write_and_agree(run):
    model = charlm.load(run)
    assert isinstance(model.decoder("bf16"), CompiledDecoder)
    logits = []
    for precision in ("fp32", "bf16"):
        decoder = model.decoder(precision)
        state = decoder.empty_state(1)
        for token in (0, 262, 270, 265):
            state = decoder.advance([token], state)
        logits.append(decoder.logits(state)[0])
        assert len(model.generate("the ", length=30, precision=precision)) > 30
    np.testing.assert_allclose(*logits, atol=0.1)
    assert model.generate("the ", beam=3, length=8)


def test_an_exported_file_is_the_same_model(run, tiny_text, tmp_path):
    api.export(run, tmp_path / "model.charlm")
    models = [charlm.load(run), charlm.load(tmp_path / "model.charlm")]
    found = [model.evaluate([tiny_text])["nats_per_token"] for model in models]
    assert found[0] == found[1]
    texts = [model.generate("", length=20) for model in models]
    assert texts[0] == texts[1]


def test_stopped_and_gone_on_is_never_stopped(tiny_text, tmp_path):
    how = WORDS | HOW | {"schedule": "constant", "ema": 0.5, "input_dropout": 0.2}
    assert_stopped_is_never_stopped(tiny_text, tmp_path, 6, **how)


def test_another_run_begins_with_its_weights(run, tiny_text, tmp_path):
    out = tmp_path / "out"
    how = {**HOW, "lr": 1e-30, "steps": 1}
    del how["hidden_size"], how["embedding_size"]
    charlm.train([tiny_text], out, init_from=run, **how)
    models = [charlm.load(path) for path in (run, out)]
    found = [model.evaluate([tiny_text])["nats_per_token"] for model in models]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    other = tmp_path / "other.txt"
    other.write_text("the nurse gave tea to a friend of the ward and left\n" * 40)
    charlm.train([other], tmp_path / "new", init_from=run, **how)
    weights = charlm.load(tmp_path / "new").stored.weights
    assert cutoffs_of(weights) == (262, 270)


def test_a_classifier_of_it(run, tmp_path):
    out = tmp_path / "out"
    charlm.finetune_classifier(run, rows(), out, lm_epochs=1, lm_loss=0.1, **QUICK)
    model = charlm.load(out)
    assert len(list(model.classify(["a sound of the heart"]))) == 1
    weights = [
        read_model(out, which).weights["encoders.0.decoder.tail.0.1.weight"]
        for which in ("begin", "last")
    ]
    assert not np.array_equal(*weights)
    with pytest.raises(UsageError, match="--softmax"):
        charlm.finetune_classifier("none", rows(), out, softmax="adaptive", **QUICK | SMALL)


@pytest.mark.parametrize("kind", registry.TOKENIZERS)
def test_any_tokenizer(kind, tiny_text, tmp_path):
    """Of all vocabularies some tokens are in the head, and bytes that cannot follow are not drawn;
    sizes are chosen by themselves."""
    sized = {"vocab_size": 320} if kind in ("bpe", "unigram") else {}
    charlm.train(
        [tiny_text], tmp_path / "run", tokenizer=kind, softmax="adaptive", steps=3, **sized, **HOW
    )
    model = charlm.load(tmp_path / "run")
    assert cutoffs_of(model.stored.weights)
    figures = model.evaluate([tiny_text])
    (line,) = model.score(["the nurse 漢字 é\n"])
    assert np.isfinite([figures["nats_per_token"], *line.token_bits]).all()
    for precision in ("fp32", "bf16"):
        assert "\ufffd" not in model.generate("the ", length=60, precision=precision)


@pytest.mark.parametrize(
    ("cutoffs", "said"), [("256,262", "Begin with 257"), ("262,9000", "beyond a vocabulary")]
)
def test_cutoffs_that_do_not_fit_the_vocabulary_are_refused(cutoffs, said, tiny_text, tmp_path):
    with pytest.raises(UsageError) as refused:
        charlm.train([tiny_text], tmp_path / "run", **WORDS | HOW | {"cutoffs": cutoffs})
    assert said in f"{refused.value.what} {refused.value.hint}"
    assert not (tmp_path / "run").exists()


def test_ranks_that_are_none_are_refused(run, tmp_path):
    """Of a file whose hashes a stranger has made fit."""
    stored = read_model(run)
    ranks = stored.weights["decoder.ranks"]
    ranks[3] = ranks[4]
    with pytest.raises(RunError, match="each once"):
        charlm.loaded.Model(stored)
