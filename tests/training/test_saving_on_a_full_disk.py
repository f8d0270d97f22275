"""A disk that is full for a while: training goes on, and says that it did not save."""

from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm.errors import MachineError
from charlm.evaluation.validation import RunMeasurement
from charlm.runs import checkpoint
from charlm.training.listener import Listener


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def test_an_intermediate_save_may_fail_but_not_the_last(
    tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = checkpoint.save, []

    def full_at_first(run: Any, step: int, *rest: Any) -> Path:
        calls.append(step)
        if step < 12:
            raise MachineError(f"{run.path}: no space left on device")
        return real(run, step, *rest)

    monkeypatch.setattr(checkpoint, "save", full_at_first)
    heard = Heard()
    settings = {"hidden_size": 16, "batch_size": 4, "bptt": 8, "eval_every": 5, "save_every": 0}
    charlm.train([tiny_text], tmp_path / "run", steps=12, listener=heard, **settings)
    assert calls[0] < 12, "it never tried to save early"
    assert any("Not saved" in message and "no space" in message for message in heard.said)
    assert charlm.load(tmp_path / "run").stored.step == 12

    monkeypatch.setattr(checkpoint, "save", lambda run, *rest: full_at_first(run, 0))
    with pytest.raises(MachineError, match="no space"):
        charlm.train([tiny_text], tmp_path / "other", steps=12, **settings)


def test_what_is_the_best_of_all_that_could_be_saved_is_kept(
    tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best evaluation meets a full disk; a later one is better than what is on it."""
    figures = iter([2.5, 1.6, 1.62, 1.61, 1.9])
    real_save, real_measure = checkpoint.save, RunMeasurement.valid

    def full_once(run: Any, step: int, *rest: Any) -> Path:
        if step == 8:
            raise MachineError(f"{run.path}: no space left on device")
        return real_save(run, step, *rest)

    def measured(self: Any) -> Any:
        return real_measure(self)._replace(nats=next(figures))

    monkeypatch.setattr(checkpoint, "save", full_once)
    monkeypatch.setattr(RunMeasurement, "valid", measured)
    settings = {"hidden_size": 16, "batch_size": 4, "bptt": 8, "eval_every": 4, "save_every": 1e9}
    summary = charlm.train([tiny_text], tmp_path / "run", steps=20, **settings)
    assert summary["best_step"] == 16
