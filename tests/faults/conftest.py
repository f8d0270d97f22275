"""The run that nothing happened to, which the others are held against."""

import pytest

from faults.processes import corpus, result, train


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """What the training of `processes.TRAINING` comes to."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    corpus(folder)
    ended = train(folder, folder / "run")
    assert ended.code == 0, ended.err
    return folder / "run", result(folder / "run")


@pytest.fixture
def patient(long_run, monkeypatch):
    """A command of the long run may take an hour."""
    if long_run:
        monkeypatch.setattr("contract.command.SECONDS", 3600)


@pytest.fixture
def folder(tmp_path):
    """A folder with the corpus."""
    corpus(tmp_path)
    return tmp_path
