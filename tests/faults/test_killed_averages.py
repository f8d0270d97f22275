"""Averaged weights after kill -9: the bytes of a run never killed, the raw weights with them."""

import hashlib

import pytest

from charlm.runs.metrics import read_metrics
from charlm.training.averaging import NonMonotoneAverage
from charlm.training.state import Evaluations
from faults.processes import Fault, result, resume, train

STEP = "charlm.training.loop:Loop._step"
SAMPLE = "charlm.assembly:Assembly._sample"  # after the figure is logged, before it is saved
# Evaluations after every step and a rate at which they get worse; no dropout that is fitted to
# the number of steps.
NT_ASGD = (
    "--optimizer", "nt-asgd", "--lr", 30, "--eval-every", 1, "--variable-bptt",
    "--input-dropout", 0,
)  # fmt: skip
EMA = ("--optimizer", "sgd", "--lr", 1, "--ema", 0.8)


def everything(run):
    """All that must be the same."""
    raw = (run / "checkpoints/last/raw.safetensors").read_bytes()
    return result(run), hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize("how", [NT_ASGD, EMA], ids=["nt-asgd", "ema"])
def test_killed_while_and_before_weights_are_averaged(folder, how):
    assert train(folder, folder / "whole", *how).code == 0
    run = folder / "killed"
    assert train(folder, run, *how, fault=Fault(STEP, 6, "kill")).code == -9
    assert resume(folder, run, fault=Fault(STEP, 8, "kill")).code == -9
    assert resume(folder, run).code == 0
    assert everything(run) == everything(folder / "whole")


def test_killed_between_the_evaluation_that_begins_the_average_and_the_next_step(folder):
    whole, run = folder / "whole", folder / "killed"
    assert train(folder, whole, *NT_ASGD).code == 0
    evaluations = Evaluations.of(read_metrics(whole / "metrics.jsonl"))
    begin = 17 - NonMonotoneAverage().count(17, evaluations)
    assert 6 < begin < 17
    assert train(folder, run, *NT_ASGD, fault=Fault(SAMPLE, begin, "kill")).code == -9
    assert resume(folder, run).code == 0
    assert everything(run) == everything(whole)


def test_an_average_that_would_begin_at_the_very_end_changes_nothing_that_is_saved(folder):
    """The last step is saved, then evaluated: the checkpoint of that step stays as it is."""
    long, run = folder / "long", folder / "run"
    assert train(folder, long, *NT_ASGD).code == 0
    evaluations = Evaluations.of(read_metrics(long / "metrics.jsonl"))
    end = 17 - NonMonotoneAverage().count(17, evaluations)
    how = (*NT_ASGD, "--steps", end)
    assert train(folder, run, *how, fault=Fault(SAMPLE, end, "kill")).code == -9
    assert resume(folder, run).code == 0
    assert not (run / "checkpoints/last/raw.safetensors").exists()
    # With more steps it goes on as if the first end had not been one.
    assert resume(folder, run, "--steps", 17).code == 0
    assert (run / "checkpoints/last/raw.safetensors").exists()
    assert Evaluations.of(read_metrics(run / "metrics.jsonl")) == evaluations
