"""A classifier's run is verified with the language model in it, and mended by what is said."""

import shutil
import subprocess

import pytest
from contract.command import call

import charlm
from charlm import api
from charlm.errors import Interrupted
from classifying.tables import QUICK, options, rows, write

INNER = ["configuration", "tokenizer", "link last", "link best", "token cache", "metrics",
         "summary"]  # fmt: skip


@pytest.fixture
def run(classifier, tmp_path):
    return shutil.copytree(classifier[0], tmp_path / "run", symlinks=True)


def flip(path, at=-3):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 4
    path.write_bytes(raw)


def damaged(run):
    return [part.name for part in api.verify(run).damaged]


def remedy(run, name):
    return {part.name: part.remedy for part in api.verify(run).parts}[name]


def test_every_part_is_looked_at(run, tmp_path):
    api.export(run, tmp_path / "it.charlm")
    assert api.verify(tmp_path / "it.charlm").readable
    found = api.verify(run)
    names = [part.name for part in found.parts]
    assert found.resumable and not found.damaged
    assert {f"language_model: {name}" for name in INNER} <= set(names)
    assert sum(name.startswith("language_model: checkpoint ") for name in names) >= 1


@pytest.mark.parametrize(("was", "becomes"), [('"rows"', '"lines"'), ("0,", "1,")])
def test_labels_that_were_changed_are_refused(run, was, becomes):
    labels = run / "cache" / "labels.json"
    assert was in labels.read_text()
    labels.write_text(labels.read_text().replace(was, becomes, 1))
    assert damaged(run) == ["token cache"]


def test_a_signal_is_no_damage(run, monkeypatch):
    def interrupted(*_):
        raise Interrupted(15, "terminated")

    monkeypatch.setattr("charlm.classifying.labelled_cache.open_texts", interrupted)
    with pytest.raises(Interrupted):
        api.verify(run)


@pytest.mark.parametrize("place", ["", "language_model"])
def test_tokens_are_made_again_from_the_table(run, lm, place, tmp_path):
    files = [run / place / "tokenizer" / "tokenizer.json", run / place / "cache" / "train.ids"]
    for file in files:
        flip(file)
    part = f"{place}: token cache" if place else "token cache"
    assert part in damaged(run)
    found = api.verify(run)
    assert (found.readable, found.resumable) == (bool(place), bool(place))
    table = write(tmp_path / "table.csv", rows(90))
    more = QUICK | {"lm_epochs": 1, "test_fraction": 0.2, "lr": 0.05, "dropout": 0}
    del more["epochs"]
    for name in (part, part.replace("token cache", "tokenizer")):
        new = tmp_path / f"new-{name[-5:].strip()}"
        command = remedy(run, name).partition(": charlm ")[2].replace("NEW", str(new))
        command = command.replace("RUN DATA", f"{lm} {table}")
        first, *rest = command.split(" && ")
        ended = call(*first.split(), *options(**more))
        assert ended.code == 0, ended.err
        subprocess.run(" && ".join(rest), shell=True, check=True)
    assert damaged(run) == []
    charlm.finetune_classifier("none", None, run, resume=True, steps=80)


def test_a_language_model_that_was_finished_is_mended_by_train(run):
    (run / "language_model" / "summary.json").write_text("{")
    assert damaged(run) == ["language_model: summary"] and not api.verify(run).resumable
    command = remedy(run, "language_model: summary")
    first, _, second = command.partition(" && charlm ")
    subprocess.run(first, shell=True, check=True)
    ended = call(*second.split())
    assert ended.code == 0, ended.err
    assert damaged(run) == [] and api.verify(run).resumable


def test_weights_of_the_language_model_are_needed_until_the_classifier_has_its_own(run):
    for step in (run / "language_model" / "checkpoints").glob("[0-9]*"):
        flip(step / "weights.safetensors")
    found = api.verify(run)
    assert {"language_model: link best", "language_model: link last"} <= set(damaged(run))
    assert found.readable and found.resumable
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    found = api.verify(run)
    assert not found.readable and not found.resumable


def test_a_run_that_ended_while_or_before_its_language_model_learned(run):
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    (run / "summary.json").unlink()
    inner = run / "language_model"
    for path in inner.iterdir():
        if path.name != "cache":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (inner / "checkpoints").mkdir()
    found = api.verify(run)
    assert damaged(run) == ["link last"] and found.resumable and not found.readable
    assert "finetune-classify --resume" in remedy(run, "link last")
    flip(inner / "cache" / "train.ids")
    assert damaged(run) == ["link last", "language_model: token cache"]
    assert not api.verify(run).resumable
    shutil.rmtree(inner)
    inner.symlink_to("..")
    assert damaged(run) == ["link last", "language_model: token cache"]
