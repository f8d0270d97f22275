"""The power fails after every single file operation of a save: the old checkpoint or the new."""

import os
import random
import shutil
from pathlib import Path

import disk_model
import pytest
from run_faults import arrays, copy_run, same_arrays

from charlm.errors import RunError
from charlm.runs.checkpoint import load, save
from charlm.runs.directory import RunDirectory

STATE = {"step": 200, "loss": 0.3}


def save_recorded(run: RunDirectory) -> list[disk_model.Step]:
    with disk_model.recorded(run.path) as steps:
        save(run, 200, arrays(2), STATE, ("last", "best"))
    return steps


def outcomes(before: Path, steps: list[disk_model.Step], folder: Path, drawn: int) -> list[object]:
    """What each image of the disk loads as: the steps of `last` and `best`, or an error."""
    draw, found = random.Random(1), []
    for count in range(len(steps) + 1):
        for image in disk_model.images(before, steps, count, draw, drawn):
            disk_model.write(image, folder)
            try:
                pair = []
                for link in ("last", "best"):
                    loaded = load(folder, link)
                    seed = {100: 1, 200: 2}[loaded.step]
                    assert same_arrays(loaded.groups, arrays(seed))
                    pair.append(loaded.step)
                found.append(tuple(pair))
            except RunError as error:
                found.append(error.what)
            shutil.rmtree(folder)
    return found


def test_the_power_fails_after_every_operation(run, tmp_path, record_property, long_run):
    before = copy_run(run, tmp_path / "before").path
    steps = save_recorded(run)
    assert {step.name for step in steps} == {"create", "write", "sync", "move", "remove"}
    found = outcomes(before, steps, tmp_path / "image", 200 if long_run else 4)
    record_property("tries", len(found))
    # `best` is linked first: whoever resumes from the new `last` has the new `best`.
    assert set(found) == {(100, 100), (100, 200), (200, 200)}
    assert found[0] == (100, 100) and found[-1] == (200, 200)


@pytest.mark.parametrize("forgotten", ["files", "folders"])
def test_a_save_that_forgets_to_sync_would_be_caught(run, tmp_path, forgotten):
    """The disk model loses what it should: without a sync there are images that do not load."""
    before = copy_run(run, tmp_path / "before").path
    steps = [
        step
        for step in save_recorded(run)
        if not (step.name == "sync" and (step.node is not None) == (forgotten == "files"))
    ]
    found = outcomes(before, steps, tmp_path / "image", 4)
    assert any(isinstance(outcome, str) for outcome in found)


def test_the_recording_is_what_happened(run, tmp_path):
    before = copy_run(run, tmp_path / "before").path
    steps = save_recorded(run)
    (image, *_) = disk_model.images(before, steps, len(steps), random.Random(0), 0)
    disk_model.write(image, tmp_path / "image")

    def content(folder: Path) -> dict[str, object]:
        return {
            str(path.relative_to(folder)): os.readlink(path)
            if path.is_symlink()
            else path.read_bytes()
            for path in folder.rglob("*")
            if path.is_symlink() or path.is_file()
        }

    assert content(tmp_path / "image") == content(run.path)
