"""Full disks, edited texts, loss that is not a number, moved, read-only and hostile runs."""

import os
import shutil
import time

import pytest

from charlm.errors import RunError
from charlm.runs.checkpoint import load
from faults.processes import Fault, charlm, last_step, result, resume, train

STEP = "charlm.training.loop:Loop._step"
LOSS = "charlm.training.language_modelling:LanguageModelling.loss"
WRITE = "charlm.runs.checkpoint:write_new"
SELDOM = ("--save-every", 1e6)  # then there are saves after evaluations and at the end alone


def files(run):
    """Every file of a run with its content, and every link with its target."""
    return {
        str(path.relative_to(run)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in run.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_the_text_may_be_edited_while_it_is_trained_on(folder, uninterrupted):
    run = folder / "run"
    fault = Fault(STEP, 3, "edit", str(folder / "text.txt"))
    assert train(folder, run, fault=fault).code == 0
    assert (folder / "text.txt").read_text() == "something else\n"
    assert result(run) == uninterrupted[1]


def test_resuming_with_an_edited_text_is_refused(folder):
    run = folder / "run"
    assert train(folder, run, fault=Fault(STEP, 8, "kill")).code == -9
    (folder / "text.txt").write_text("another text\n" * 50)
    again = train(folder, run, "--resume")
    assert again.code == 2 and "the text is not the one" in again.err
    assert last_step(run) == 7


@pytest.mark.parametrize(
    ("options", "named"),
    [(("--hidden-size", 13), "--hidden-size"), (("--tokenizer", "byte"), "--tokenizer")],
)
def test_resuming_with_another_network_is_refused_by_name(folder, uninterrupted, options, named):
    run, wanted = uninterrupted
    again = resume(folder, run, *options)
    assert again.code == 2 and named in again.err
    assert result(run) == wanted


@pytest.mark.parametrize("file", [1, 3, 5], ids=["weights", "state", "manifest"])
def test_a_full_disk_at_the_final_save_is_said_and_the_checkpoint_before_is_whole(
    folder, uninterrupted, file
):
    run = folder / "run"
    # Saves of 5 files after the evaluations at 5, 10 and 15, each of them the best: the fourth.
    ended = train(folder, run, *SELDOM, fault=Fault(WRITE, 15 + file, "disk full"))
    assert ended.code == 1, ended.err
    assert str(run / "checkpoints" / "17") in ended.err
    assert "No space left on device" in ended.err and "disk is full" in ended.err
    assert "Traceback" not in ended.err and "saved" not in ended.err.lower()
    assert load(run, "last").step == load(run, "best").step == 15
    assert not [path for path in (run / "checkpoints").iterdir() if "partial" in path.name]
    assert resume(folder, run).code == 0
    assert result(run) == uninterrupted[1]


def test_a_metrics_file_that_cannot_be_written_ends_nothing(folder, uninterrupted):
    run = folder / "run"
    place = "charlm.runs.metrics:MetricsLog._write"
    ended = train(folder, run, fault=Fault(place, 2, "disk full"))
    assert ended.code == 0
    assert "could not write to" in ended.err and "training goes on" in ended.err
    found, wanted = result(run), uninterrupted[1]
    assert len(found.pop("metrics")) == len(wanted["metrics"]) - 1
    assert found == {key: value for key, value in wanted.items() if key != "metrics"}


def test_a_run_can_be_moved_and_copied(folder, uninterrupted):
    run = folder / "run"
    assert train(folder, run, fault=Fault(STEP, 8, "kill")).code == -9
    moved = folder / "elsewhere" / "renamed"
    moved.parent.mkdir()
    shutil.move(run, moved)
    os.remove(folder / "text.txt")
    assert charlm(folder, "generate", moved, "--length", 3).code == 0
    assert resume(folder, moved).code == 0
    assert result(moved) == uninterrupted[1]
    copied = shutil.copytree(moved, folder / "copy", symlinks=True)
    wanted, found = (charlm(folder, "evaluate", r, "--json") for r in (moved, copied))
    assert wanted.code == found.code == 0 and wanted.out == found.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "RUN", "--length", 20],
        ["evaluate", "RUN"],
        ["evaluate", "RUN", "TEXT"],
        ["score", "RUN", "TEXT"],
        ["info", "RUN"],
        ["export", "RUN", "FILE"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_a_read_only_run_is_read(folder, uninterrupted, arguments):
    run, _ = uninterrupted
    before = files(run)
    places = {"RUN": run, "TEXT": folder / "text.txt", "FILE": folder / "model.charlm"}
    ended = charlm(folder, *(places.get(a, a) for a in arguments), read_only=run)
    assert ended.code == 0, ended.err
    assert files(run) == before


def test_training_in_a_read_only_run_is_refused(folder, uninterrupted):
    """The hook that stands for the disk works: and the answer is no bug of ours."""
    ended = charlm(
        folder, "train", "--resume", "--out", uninterrupted[0], "--steps", 99,
        read_only=uninterrupted[0],
    )  # fmt: skip
    assert ended.code in (1, 2)
    assert "read-only" in ended.err.lower() or "Read-only" in ended.err
    assert "bug" not in ended.err


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score", "info", "train"])
@pytest.mark.parametrize("size", [10**9, 65536], ids=["beyond the range", "within the range"])
def test_a_configuration_that_promises_a_huge_network_is_refused_at_once(
    folder, uninterrupted, verb, size
):
    run = shutil.copytree(uninterrupted[0], folder / "hostile", symlinks=True)
    text = (run / "config.toml").read_text()
    assert text.count("\nhidden_size = 12\n") == 1
    hostile = text.replace("\nhidden_size = 12\n", f"\nhidden_size = {size}\n")
    (run / "config.toml").write_text(hostile)
    arguments = {
        "generate": ["generate", run, "--length", 3],
        "evaluate": ["evaluate", run],
        "score": ["score", run, folder / "text.txt"],
        "info": ["info", run],
        "train": ["train", "--resume", "--out", run, "--steps", 99],
    }[verb]
    begin = time.monotonic()
    ended = charlm(folder, *arguments)
    took = time.monotonic() - begin
    if size > 65536 or verb not in ("info", "generate"):  # these read what the weights are
        assert ended.code == 4, (ended.code, ended.err)
        assert took < 3  # beside other work; the refusal itself comes before any allocation
        assert "hidden_size" in ended.err or "weight" in ended.err
    assert "Traceback" not in ended.err and "bug" not in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--tokenizer", "byte"), "the tokenizer char"), (("--min-count", "500"), "tokens")],
    ids=["another kind", "another vocabulary"],
)
def test_weights_of_another_tokenizer_are_refused(folder, uninterrupted, options, said):
    run = shutil.copytree(uninterrupted[0], folder / "mixed", symlinks=True)
    other = folder / "other"
    assert train(folder, other, *options).code == 0
    shutil.rmtree(run / "tokenizer")
    shutil.copytree(other / "tokenizer", run / "tokenizer")
    ended = charlm(folder, "generate", run, "--length", 3)
    assert ended.code == 4 and said in ended.err


def test_a_run_without_a_checkpoint_says_so(folder):
    run = folder / "run"
    assert train(folder, run, fault=Fault(STEP, 1, "kill")).code == -9
    with pytest.raises(RunError, match="no checkpoint"):
        load(run)
    ended = charlm(folder, "generate", run)
    assert ended.code == 4 and "--resume" in ended.err
