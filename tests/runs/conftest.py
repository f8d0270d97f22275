"""The tiny run that the tests of this folder share."""

import os
from pathlib import Path

import pytest
from run_faults import CONFIG, TOKENIZER, arrays

from charlm.runs.checkpoint import save
from charlm.runs.directory import RunDirectory


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync is counted and may fail, but is not done: processes die here, not machines."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with a checkpoint at step 100 that `best` and `last` point to."""
    run = RunDirectory.create(tmp_path / "mine")
    run.write_config(CONFIG)
    run.write_tokenizer(TOKENIZER)
    save(run, 100, arrays(1), {"step": 100, "loss": 0.1}, ("best", "last"))
    return run
