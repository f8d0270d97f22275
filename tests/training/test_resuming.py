"""Every optimiser under every schedule, with and without an average, broken off and resumed:
the bytes of a run that was not."""

import hashlib
import os
from pathlib import Path

import pytest

import charlm
from charlm import registry
from charlm.runs.metrics import read_metrics
from charlm.training import precision
from charlm.training.loop import Loop

STEPS = 9
SETTINGS = {
    "steps": STEPS, "hidden_size": 8, "embedding_size": 6, "layers": 1, "batch_size": 3,
    "bptt": 10, "variable_bptt": True, "eval_every": 1, "report_every": 4, "save_every": 0,
    "precision": "fp32", "device": "cpu", "threads": 1, "seed": 3, "valid_fraction": 0.03,
}  # fmt: skip


class BrokenOff(BaseException):
    """As a kill: nothing of charlm catches it."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    rates = precision.ProductRates(50.0, 100.0, True)
    monkeypatch.setattr(precision, "probe", lambda device="cpu": rates)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("charlm.assembly.generate", lambda *arguments, **named: ())


def everything(run):
    folder = run / "checkpoints/last"
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.safetensors")
    }
    records = [
        {key: value for key, value in record.items() if key not in ("seconds", "tokens_per_second")}
        for record in read_metrics(run / "metrics.jsonl")
    ]
    return digests, records, os.readlink(run / "checkpoints/best")


@pytest.mark.parametrize("schedule", registry.SCHEDULES)
@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS)
def test_broken_off_and_resumed(
    optimizer: str,
    schedule: str,
    tiny_text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lr = {"sgd": 20.0, "nt-asgd": 20.0}.get(optimizer, 0.2)
    how = {**SETTINGS, "optimizer": optimizer, "schedule": schedule, "lr": lr}
    averaged = optimizer == "nt-asgd" or schedule in ("cosine", "plateau")
    if averaged and optimizer != "nt-asgd":
        how["ema"] = 0.7
    charlm.train([tiny_text], tmp_path / "whole", **how)
    step, taken = Loop._step, []

    def broken(loop: Loop, progress: float) -> None:
        taken.append(loop.state.step)
        if len(taken) in (4, 9):
            raise BrokenOff
        step(loop, progress)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", broken)
        with pytest.raises(BrokenOff):
            charlm.train([tiny_text], tmp_path / "run", **how)
        with pytest.raises(BrokenOff):
            charlm.train([], tmp_path / "run", resume=True)
    charlm.train([], tmp_path / "run", resume=True)
    assert taken == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    found = everything(tmp_path / "run")
    assert found == everything(tmp_path / "whole")
    assert optimizer == "nt-asgd" or ("raw.safetensors" in found[0]) == averaged
