"""From a language model, or from nothing, to a classifier that can be taken away."""

import shutil
import time

import numpy as np
import pytest
from contract.command import charlm as run_charlm

import charlm
from charlm import api, registry
from charlm.classifier_settings import UNUSED as UNUSED_KEYS
from charlm.classifying import run as running
from charlm.classifying.calls import classifier_configuration
from charlm.classifying.request import CurveRequest
from charlm.errors import DataError, RunError, UsageError
from charlm.runs.export import read_model
from charlm.training import memory
from charlm.training.listener import Listener
from classifying.conftest import language_model
from classifying.tables import QUICK, SMALL, rows, write

TEXTS = ["the heart murmur", "", "knee joint 漢字", "a valve leaks and beats " * 9]


def test_the_summary_has_the_keys_of_the_interface(classifier):
    run, summary = classifier
    assert {"run", "classes", "n_train", "seconds", "valid", "test", "baseline"} <= set(summary)
    assert summary["classes"] == ["bone", "heart"] and summary["run"] == str(run)
    sizes = [summary[f"n_{part}"] for part in ("train", "valid", "test")]
    assert sum(sizes) == 90 and sizes[2] == summary["test"]["n"] == summary["baseline"]["n"]
    for part in ("valid", "test", "baseline"):
        assert {"accuracy", "macro_f1", "nats", "n", "per_class"} <= set(summary[part])
    assert summary["test"]["accuracy"] > 0.8
    assert 0 <= summary["padding"] < 0.5


def test_it_begins_with_the_language_model_that_was_fine_tuned(classifier, lm):
    run, summary = classifier
    inner = charlm.load(run / "language_model")
    assert summary["language_models"][0]["valid"]["tokens"] > 0
    begin = read_model(run, "begin").weights
    for name in ("layers.0.weight_hh", "embedding.weight"):
        np.testing.assert_array_equal(begin[f"encoders.0.{name}"], inner.stored.weights[name])
    theirs = charlm.load(lm)
    assert not np.array_equal(
        theirs.stored.weights["layers.0.weight_hh"], inner.stored.weights["layers.0.weight_hh"]
    )
    # New words have come to the vocabulary, after those that were there.
    known, new = theirs.tokenizer, inner.tokenizer
    assert new.vocabulary_size > known.vocabulary_size
    for token in range(known.vocabulary_size):
        assert new.token_identity(token) == known.token_identity(token)
    assert ("word", "murmur") in map(new.token_identity, range(new.vocabulary_size))


def test_rows_of_known_tokens_are_those_of_run_where_it_is_not_fine_tuned(lm, tmp_path):
    charlm.finetune_classifier(lm, rows(), tmp_path / "run", lm_epochs=0, **QUICK)
    begin = read_model(tmp_path / "run", "begin").weights["encoders.0.embedding.weight"]
    theirs = read_model(lm).weights["embedding.weight"]
    np.testing.assert_array_equal(begin[: len(theirs)], theirs)
    np.testing.assert_allclose(begin[-1], theirs.mean(0), atol=1e-6)
    assert not (tmp_path / "run" / "language_model").exists()


def test_the_vectors_of_n_grams_stay_as_the_language_model_learned_them(tmp_path, tiny_text):
    lm, run = tmp_path / "lm", tmp_path / "run"
    sized = {"ngram_order": 3, "ngram_rows": 64, "threads": 1, "steps": 8} | SMALL
    charlm.train([tiny_text], lm, precision="fp32", **sized)
    before = charlm.load(lm).stored.weights
    charlm.finetune_classifier(lm, rows(), run, lm_epochs=0, ema=0.5, **QUICK)
    found = charlm.load(run).stored.weights
    assert before["ngrams.weight"].any()
    np.testing.assert_array_equal(found["encoders.0.ngrams.weight"], before["ngrams.weight"])
    charlm.finetune_classifier(lm, rows(), tmp_path / "tuned", lm_epochs=1, **QUICK)
    tuned = charlm.load(tmp_path / "tuned").stored.weights["encoders.0.ngrams.weight"]
    assert not np.array_equal(tuned, before["ngrams.weight"])


def test_memory_is_kept_from_step_to_step(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(memory, "keep", lambda kept=True: asked.append(kept))
    charlm.finetune_classifier("none", rows(), tmp_path / "run", **QUICK, **SMALL)
    assert asked[0] is True


def test_it_works_elsewhere_without_the_texts(classifier, tmp_path):
    run, _ = classifier
    model = charlm.load(run)
    wanted = list(model.classify(TEXTS))
    api.export(run, tmp_path / "it.charlm")
    shutil.copytree(run, tmp_path / "moved", symlinks=True)
    for part in ("cache", "language_model"):
        shutil.rmtree(tmp_path / "moved" / part)
    for place in ("it.charlm", "moved"):
        again = charlm.load(tmp_path / place)
        assert again.classes == model.classes and again.temperature == model.temperature
        assert list(again.classify(TEXTS)) == wanted
        assert again.info()["task"] == "classifier"
    raw = (tmp_path / "it.charlm").read_bytes()
    assert str(run).encode() not in raw and b"murmur and" not in raw


def test_a_text_is_classified_alike_whatever_it_comes_with(classifier):
    model = charlm.load(classifier[0])
    together = list(model.classify(TEXTS * 3))
    for number, text in enumerate(TEXTS):
        (alone,) = model.classify([text])
        assert alone.label == together[number].label
        np.testing.assert_allclose(
            list(alone.probabilities.values()),
            list(together[number].probabilities.values()),
            atol=1e-6,
        )
        assert sum(alone.probabilities.values()) == pytest.approx(1)
        assert alone.probability == max(alone.probabilities.values())


def test_vectors_of_texts(classifier, lm):
    for run in (classifier[0], lm):
        model = charlm.load(run)
        found = {name: model.embed(TEXTS, name) for name in registry.POOLINGS}
        joined = [found[name] for name in ("last", "max", "mean")]
        np.testing.assert_array_equal(found["concat"], np.concatenate(joined, axis=1))
        np.testing.assert_array_equal(model.embed(TEXTS), found["concat"])
        assert found["last"].shape == (len(TEXTS), SMALL["hidden_size"])


def test_what_it_is_not_says_so(classifier, lm):
    model, run = charlm.load(classifier[0]), classifier[0]
    for call in (
        lambda: model.generate("a"),
        lambda: model.evaluate(),
        lambda: list(model.score(["a"])),
        lambda: charlm.load(lm).classify_batch(["a"]),
        lambda: charlm.train([], run, resume=True),
        lambda: charlm.finetune_classifier("none", None, lm, resume=True),
        lambda: charlm.finetune_classifier(run, rows(), run.parent / "other"),
    ):
        with pytest.raises(RunError, match=r"classifier|classes"):
            call()


@pytest.mark.parametrize(
    ("cell", "tokenizer"),
    [*((cell, "word") for cell in registry.CELLS), *(("lstm", t) for t in registry.TOKENIZERS)],
)
def test_every_cell_and_every_tokenizer_from_nothing(cell, tokenizer, tmp_path):
    settings = QUICK | SMALL | {"steps": 2, "epochs": None, "baseline": False}
    if tokenizer in ("unigram", "bpe"):
        settings["vocab_size"] = 300
    summary = charlm.finetune_classifier(
        "none", rows(), tmp_path / "run", cell=cell, tokenizer=tokenizer, bidirectional=True,
        **settings,
    )  # fmt: skip
    assert summary["steps"] == 2 and summary["baseline"] is None
    assert len(list(charlm.load(tmp_path / "run").classify(TEXTS))) == len(TEXTS)


def test_two_models_that_read_from_both_ends_are_averaged(lm, lm_from_the_end, tmp_path):
    out = tmp_path / "run"
    summary = charlm.finetune_classifier(
        lm, rows(), out, backward=str(lm_from_the_end), lm_epochs=1, lm_loss=0.1, **QUICK
    )
    assert [found["run"] for found in summary["language_models"]] == [
        "language_model", "second_language_model",
    ]  # fmt: skip
    for number, name in enumerate(("language_model", "second_language_model")):
        weights = read_model(out / name).weights["layers.0.weight_hh"]
        begin = read_model(out, "begin").weights[f"encoders.{number}.layers.0.weight_hh"]
        np.testing.assert_array_equal(begin, weights)
    model = charlm.load(out)
    texts = model._to_read(TEXTS)
    import torch
    from torch.nn.functional import softmax

    from charlm.evaluation.reading_texts import logits_of
    from charlm.training.text_batches import side_by_side

    batch = [side_by_side([texts.read(n, way) for n in range(4)], 0) for way in (0, 1)]
    with torch.inference_mode():
        heads, _ = model.classifier(batch, 128)
    mean = (softmax(heads[0], dim=1) + softmax(heads[1], dim=1)) / 2
    np.testing.assert_allclose(np.exp(logits_of(model.classifier, texts)), mean.numpy(), atol=1e-6)
    assert not torch.allclose(heads[0], heads[1])


CONTRADICTIONS = [
    ("none", {"backward": "x"}, "--bidirectional"),
    ("lm", {"bidirectional": True}, "--backward"),
    ("none", {"lm_text": "x"}, "--lm-text"),
    ("lm", {"lm_text": "x", "lm_epochs": 0}, "--lm-text"),
    ("lm", {"gradual_unfreezing": False, "unfreeze_every": 3}, "--unfreeze-every"),
    ("lm", {"min_count": 2}, "--min-count"),
    ("lm", {"hidden_size": 99}, "--hidden-size"),
    ("lm", {"cell": "gru"}, "--cell"),
    ("lm", {"init": "uniform"}, "--init"),
    ("lm", {"pooling": "median"}, "--pooling"),
    ("none", {"batch_size": 1}, "--batch-size"),
    ("lm", {"valid_fraction": 0, "patience": 2}, "--patience"),
]


@pytest.mark.parametrize(("run", "settings", "named"), CONTRADICTIONS)
def test_what_cannot_be_used_is_refused(run, settings, named, lm, tmp_path):
    with pytest.raises(UsageError) as refused:
        charlm.finetune_classifier(
            lm if run == "lm" else run, rows(), tmp_path / "run", **(QUICK | settings)
        )
    assert named in str(refused.value.what)
    assert not (tmp_path / "run").exists()


def test_two_runs_that_do_not_fit_are_refused(lm, tiny_run, tmp_path):
    for other, what in ((lm, "both read forward"), (tiny_run, "other kinds")):
        with pytest.raises(UsageError, match=what):
            charlm.finetune_classifier(lm, rows(), tmp_path / "run", backward=str(other), **QUICK)


def test_few_texts_and_many_classes(tmp_path):
    found = rows(9, ("heart", "bone", "skin"))
    summary = charlm.finetune_classifier(
        "none", found, tmp_path / "run", valid_fraction=0, **QUICK | SMALL | {"batch_size": 32}
    )
    assert summary["n_train"] == 9 and summary["valid"] is summary["test"] is None
    with pytest.raises(DataError):
        charlm.finetune_classifier("none", found[:1], tmp_path / "one", **QUICK | SMALL)


UNUSED = {
    "activation_penalty": 1.0, "temporal_activation_penalty": 1.0, "reset_probability": 0.1,
    "variable_bptt": True, "ngram_order": 3, "ngram_rows": 1024, "ngram_lr": 0.1,
    "decoder_lr_factor": 2.0,
    "softmax_sample": 100, "softmax": "adaptive", "tensorboard": True, "corpus": "memory",
    "canaries": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSED)
def test_settings_that_a_classifier_has_no_use_for_are_refused(name, tmp_path):
    settings = QUICK | SMALL | {name: UNUSED[name]}
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        charlm.finetune_classifier("none", rows(), tmp_path / "run", **settings)


def test_tables_are_read_in_the_encoding_of_the_settings(tmp_path):
    table = write(tmp_path / "t.csv", rows())
    table.write_bytes(table.read_bytes().decode("utf-8").encode("latin-1"))
    settings = QUICK | SMALL | {"steps": 1, "epochs": None, "baseline": False}
    with pytest.raises(DataError):
        charlm.finetune_classifier("none", table, tmp_path / "run", **settings)
    charlm.finetune_classifier("none", table, tmp_path / "run", encoding="latin-1", **settings)
    tokenizer = charlm.load(tmp_path / "run").tokenizer
    assert ("word", "é") in map(tokenizer.token_identity, range(tokenizer.vocabulary_size))


def test_the_language_model_reads_what_the_table_says_in_its_encoding(lm, tmp_path):
    """The texts are text when they come to it, and are not decoded once more."""
    found = [row._replace(text=f"{row.text} ”Á") for row in rows()]
    table = write(tmp_path / "t.csv", found)
    plain = charlm.finetune_classifier(lm, table, tmp_path / "plain", lm_epochs=1, **QUICK)
    table.write_bytes(table.read_bytes().decode("utf-8").encode("cp1252", "xmlcharrefreplace"))
    settings = QUICK | {"lm_epochs": 1, "encoding": "cp1252"}
    charlm.finetune_classifier(lm, table, tmp_path / "run", **settings)
    known = {}
    for name in ("plain", "run"):
        tokenizer = charlm.load(tmp_path / name / "language_model").tokenizer
        known[name] = {tokenizer.token_identity(t) for t in range(tokenizer.vocabulary_size)}
    assert known["run"] == known["plain"] and ("word", "é") in known["run"]
    assert plain["language_models"][0]["valid"]["tokens"] > 0


def test_zoneout_is_part_of_the_language_model_that_is_fine_tuned(tmp_path, words):
    zoneout = {"temporal_dropout_kind": "zoneout", "temporal_dropout": 0.3}
    lm = language_model(tmp_path, words, **zoneout)
    charlm.finetune_classifier(lm, rows(), tmp_path / "run", lm_epochs=1, **QUICK)
    for run in (lm, tmp_path / "run" / "language_model", tmp_path / "run"):
        assert charlm.load(run).config.zoneout == 0.3, run


def test_a_plan_names_no_setting_that_a_classifier_has_no_use_for(tmp_path):
    config, given = classifier_configuration({**QUICK, "tokenizer": "word"})
    plan = api.plan_classifier("none", rows(), config=config, given=given)
    named = {choice.key for choice in plan.choices}
    assert "model.hidden_size" in named and not named & set(UNUSED_KEYS)


def test_one_that_reads_from_the_end_only(tmp_path):
    settings = QUICK | SMALL | {"lr": 0.05, "baseline": False, "max_length": 4}
    found = {}
    for direction in ("forward", "backward"):
        charlm.finetune_classifier(
            "none", rows(), tmp_path / direction, direction=direction, **settings
        )
        model = charlm.load(tmp_path / direction)
        found[direction] = model._to_read(["heart and bone"]).read(0, 0).tolist()
    boundary, *words = found["forward"]
    assert found["backward"] == [boundary, *reversed(words)] and len(words) > 1


def test_it_learns_in_one_process(classifier, monkeypatch, tmp_path):
    run = shutil.copytree(classifier[0], tmp_path / "run", symlinks=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for how in ({"resume": True, "epochs": 20}, {"force": True}):
        with pytest.raises(UsageError, match="torchrun"):
            charlm.finetune_classifier("none", rows(), run, **how)


def test_both_language_models_have_their_own_minutes(lm, lm_from_the_end, tmp_path, monkeypatch):
    """The second begins when the first has ended, and both count as spent."""
    begun, ended, spent = [], [], []
    train, make = running.train_prepared, running.ClassifierAssembly

    def trained(nested, request, *more):
        begun.append((request.started, time.monotonic()))
        summary = train(nested, request, *more)
        ended.append(time.monotonic())
        return {**summary, "seconds": 40.0 + len(begun)}

    def assembled(*parts):
        spent.append(parts[-2])
        return make(*parts)

    monkeypatch.setattr(running, "train_prepared", trained)
    monkeypatch.setattr(running, "ClassifierAssembly", assembled)
    before = time.monotonic()
    charlm.finetune_classifier(
        lm, rows(), tmp_path / "run", backward=str(lm_from_the_end), lm_epochs=0.1, **QUICK
    )
    (first, first_called), (second, _) = begun
    assert before - 1 <= first <= first_called and ended[0] <= second <= ended[1]
    assert spent == [41.0 + 42.0]


def test_a_language_model_of_many_words_from_nothing_learns_at_the_rate_of_its_passes(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("charlm.training.vocabulary_sizing._SAMPLE", 4)
    rates = {}
    for passes in (1.0, 6.0):
        out = tmp_path / str(passes)
        settings = QUICK | SMALL | {"epochs": None, "steps": 1, "lm_epochs": passes}
        charlm.finetune_classifier("none", rows(), out, **settings)
        rates[passes] = charlm.load(out).config.classifier.lm_lr
    assert rates[6.0] == pytest.approx(rates[1.0] / 2, rel=0.02)  # sqrt(1.5 / 6)


def test_words_that_are_not_kept_are_no_baseline(tmp_path):
    """And no learning curve: its texts come back from their tokens."""
    how, said = QUICK | SMALL | {"word_oov": "unk"}, []
    listener = type("Hearing", (Listener,), {"say": lambda self, message: said.append(message)})()
    found = charlm.finetune_classifier("none", rows(), tmp_path / "run", listener=listener, **how)
    assert found["baseline"] is None and any("not all words are kept" in line for line in said)
    for more in ({}, {"resume": True}):
        with pytest.raises(UsageError, match="--word-oov unk words are missing"):
            charlm.finetune_classifier(
                "none", rows(), tmp_path / ("run" if more else "new"),
                curve=CurveRequest([8], [], 1), **how | more,
            )  # fmt: skip


def test_a_baseline_may_be_left_out_when_a_run_goes_on(tmp_path):
    out = tmp_path / "run"
    charlm.finetune_classifier("none", rows(), out, **QUICK | SMALL)
    found = charlm.finetune_classifier("none", None, out, resume=True, epochs=3, baseline=False)
    assert found["baseline"] is None


def test_runs_with_tokens_of_other_kinds_do_not_go_together(lm, tmp_path, words):
    other = language_model(tmp_path, words, direction="backward", tokenizer="char")
    with pytest.raises(UsageError, match="tokens of other kinds: word and char"):
        charlm.finetune_classifier(lm, rows(), tmp_path / "run", backward=str(other), **QUICK)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["-", "--test", "-", "--csv"], "named twice"),
        (["-", "--lm-text", "-", "--csv", "--lm-epochs", "1"], "only labelled texts"),
        (["-", "--jsonl", "--no-header"], "--no-header is of a table"),
    ],
)
def test_what_cannot_be_read_is_said_before_it_is(asked, said, lm, tmp_path):
    done = run_charlm("finetune-classify", lm, *asked, "--out", tmp_path / "run", stdin=b"text\n")
    assert done.code == 2 and said in done.err, done.err
