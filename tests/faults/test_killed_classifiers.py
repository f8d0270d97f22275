"""kill -9 in every phase of making a classifier, and --resume ends with the same bytes."""

import json
import shutil

import pytest
from classifying.tables import QUICK, SMALL, options, rows, write

from charlm.runs.checkpoint import load
from faults.processes import Fault, charlm, last_step, metrics

STEP = "charlm.training.loop:Loop._step"
LM_STEPS, STEPS, UNFREEZE = 12, 12, 3  # the head, the layer, then the embedding learn too

TRAINING = options(
    **QUICK | {"epochs": 2},
    lm_epochs=1, gradual_unfreezing=True, unfreeze_every=UNFREEZE, eval_every=4, report_every=5,
    test_fraction=0.2, input_dropout=0.2, temporal_dropout=0.2, lm_loss=0.1,
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a language model and a table."""
    folder = tmp_path_factory.mktemp("classifiers")
    (folder / "text.txt").write_text("the heart of a bone is red and beats\n" * 20)
    small = options(**SMALL, steps=3, batch_size=4, bptt=8, threads=1, precision="fp32")
    ended = charlm(
        folder, "train", folder / "text.txt", "--tokenizer", "word", "--out", folder / "lm", *small
    )
    assert ended.code == 0, ended.err
    write(folder / "table.csv", rows(70))
    return folder


def finetune(home, out, *more, fault=None):
    return charlm(
        home, "finetune-classify", home / "lm", home / "table.csv", "--out", out,
        "--unlabelled-text", home / "text.txt", *TRAINING, *more,
        fault=fault,
    )  # fmt: skip


def result(run):
    """All that must not depend on what happened on the way."""
    summary = json.loads((run / "summary.json").read_text())
    for found in (summary, *summary["language_models"]):
        for key in ("seconds", "tokens_per_second", "run"):
            found.pop(key, None)
    found = {"summary": summary}
    for name, folder in (("classifier", run), ("language model", run / "language_model")):
        found[name] = metrics(folder)
        for link in ("last", "best"):
            path = folder / "checkpoints" / link
            files = sorted(path.glob("*.safetensors"))
            if link == "best":
                files = [file for file in files if file.name == "weights.safetensors"]
            found[f"{name} {link}"] = [file.read_bytes() for file in files]
    found["together"] = {path.name: path.read_bytes() for path in (run / "together").iterdir()}
    semantics = run / "latent_semantics"
    found["semantics"] = {path.name: path.read_bytes() for path in semantics.iterdir()}
    found["wrong"] = (run / "wrong_answers.jsonl").read_text()
    return found


@pytest.fixture(scope="module")
def never_killed(home):
    ended = finetune(home, home / "whole")
    assert ended.code == 0, ended.err
    found = result(home / "whole")
    assert found["summary"]["steps"] == STEPS and found["summary"]["words"] is not None
    assert found["summary"]["language_models"][0]["steps"] == LM_STEPS
    return found


# Where, at which call; the steps that language model and classifier go on from.
KILLS = [
    pytest.param("charlm.text.token_cache:_write", 1, None, None, id="texts are read"),
    pytest.param("charlm.classifying.labelled_cache:sealed", 1, None, None, id="labels"),
    pytest.param("charlm.runs.directory:RunDirectory.write_config", 1, None, None, id="config"),
    pytest.param("charlm.runs.directory:RunDirectory.write_config", 2, None, None, id="inner"),
    pytest.param(STEP, 4, 3, None, id="language model"),
    pytest.param(STEP, LM_STEPS + 1, LM_STEPS, 0, id="before the classifier's first step"),
    pytest.param(STEP, LM_STEPS + 3, LM_STEPS, 2, id="the head learns"),
    pytest.param(STEP, LM_STEPS + 6, LM_STEPS, 5, id="the layer learns"),
    pytest.param(STEP, LM_STEPS + 10, LM_STEPS, 9, id="all learn"),
    pytest.param("charlm.classifying.assembly:logits_of", 2, LM_STEPS, 7, id="evaluating"),
    pytest.param("charlm.classifying.finish:classifier_summary", 1, LM_STEPS, STEPS, id="figures"),
    pytest.param("charlm.classifying.finish:files_of", 1, LM_STEPS, STEPS, id="words"),
    pytest.param(
        "charlm.runs.directory:RunDirectory.write_summary", 2, LM_STEPS, STEPS, id="summary"
    ),
]


@pytest.mark.parametrize(("place", "number", "lm_step", "step"), KILLS)
def test_a_killed_classifier_goes_on_to_the_same_bytes(
    home, never_killed, tmp_path, place, number, lm_step, step
):
    run = tmp_path / "run"
    killed = finetune(home, run, fault=Fault(place, number, "kill"))
    assert killed.code == -9, killed.err
    assert (last_step(run / "language_model"), last_step(run)) == (lm_step, step)
    if step is not None:
        assert load(run, "last").step == step
    ended = finetune(home, run, "--resume")
    assert ended.code == 0, ended.err
    assert result(run) == never_killed


def test_interrupted_it_says_how_to_go_on(home, never_killed, tmp_path):
    """In the language model's training, and in the classifier's; DATA and RUN are not needed."""
    run = tmp_path / "run"
    for number in (3, LM_STEPS):
        if run.exists():
            ended = charlm(
                home, "finetune-classify", "--resume", "--out", run,
                fault=Fault(STEP, number, "interrupt"),
            )  # fmt: skip
        else:
            ended = finetune(home, run, fault=Fault(STEP, number, "interrupt"))
        assert ended.code == 130
        assert f"charlm finetune-classify --resume --out {run}" in ended.err
    ended = charlm(home, "finetune-classify", "--resume", "--out", run)
    assert ended.code == 0, ended.err
    assert result(run) == never_killed


def test_a_loss_that_is_no_number_goes_back_once(home, tmp_path):
    run = tmp_path / "run"
    place = "charlm.training.classification:Classification.loss"
    ended = finetune(home, run, fault=Fault(place, 8, "nan"))
    assert ended.code == 0, ended.err
    assert "half the learning rate" in ended.err
    shutil.rmtree(run)
