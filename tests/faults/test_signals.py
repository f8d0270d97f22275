"""Ctrl-C, SIGTERM, and two processes on one run."""

import os
import signal
import time

import pytest

from charlm.runs.checkpoint import load
from faults.processes import (
    TRAINING,
    Charlm,
    Fault,
    charlm,
    last_step,
    metrics,
    result,
    resume,
    train,
)

STEP = "charlm.training.loop:Loop._step"
CHUNK = "charlm.evaluation.token_nats:TokenReader._chunk"

SIGNALS = pytest.mark.parametrize(
    ("action", "code"), [("interrupt", 130), ("terminate", 143)], ids=["SIGINT", "SIGTERM"]
)


@SIGNALS
def test_a_signal_saves_says_how_to_go_on_and_the_run_ends_the_same(
    folder, uninterrupted, action, code
):
    run = folder / "run"
    # Without checkpoints by the clock: what is saved, the signal saved.
    stopped = train(folder, run, "--save-every", 1e6, fault=Fault(STEP, 8, action))
    assert stopped.code == code, stopped.err
    assert last_step(run) == 8, "the step it came in is done and saved"
    assert f"charlm train --resume --out {run}" in stopped.err
    assert "Traceback" not in stopped.err and stopped.out == ""
    # No summary, so nobody takes it for finished; and it can be read.
    assert not (run / "summary.json").exists()
    assert charlm(folder, "generate", run, "--length", 5).code == 0
    assert resume(folder, run).code == 0
    assert result(run) == uninterrupted[1]


@pytest.mark.parametrize("call", [2, 5, 9], ids=["first", "a later one", "the last"])
def test_a_signal_while_evaluating_saves_and_the_evaluation_is_made_up_for(
    folder, uninterrupted, call
):
    run = folder / "run"
    stopped = train(folder, run, "--save-every", 1e6, fault=Fault(CHUNK, call, "interrupt"))
    assert stopped.code == 130, stopped.err
    assert resume(folder, run).code == 0
    assert result(run) == uninterrupted[1]


def test_ctrl_c_twice_leaves_at_once_and_the_last_checkpoint_is_whole(folder, uninterrupted):
    run = folder / "run"
    begin = time.monotonic()
    stopped = train(folder, run, fault=Fault(STEP, 8, "interrupt twice"))
    assert stopped.code == 130
    assert time.monotonic() - begin < 30
    assert last_step(run) == 7, "it went on after the second"
    assert load(run, "last").step == 7
    assert resume(folder, run).code == 0
    assert result(run) == uninterrupted[1]


@SIGNALS
@pytest.mark.parametrize(
    "place",
    ["charlm.text.token_cache:_write", "charlm.training_run:resolve"],
    ids=["reading", "sizing"],
)
def test_a_signal_before_training_ends_with_its_code_and_training_begins_anew(
    folder, uninterrupted, place, action, code
):
    run = folder / "run"
    stopped = train(folder, run, fault=Fault(place, 1, action))
    assert stopped.code == code, stopped.err
    assert "Traceback" not in stopped.err
    assert train(folder, run, "--resume").code == 0
    assert result(run) == uninterrupted[1]


@SIGNALS
@pytest.mark.parametrize("verb", ["generate", "evaluate", "score"])
def test_a_signal_in_a_reading_verb(folder, uninterrupted, verb, action, code):
    place, call, arguments = {
        "generate": ("charlm.generation.compiled:CompiledDecoder.write", 3, ["--length", 50]),
        "evaluate": (CHUNK, 2, [folder / "text.txt"]),
        "score": (CHUNK, 1, [folder / "text.txt"]),
    }[verb]
    run, wanted = uninterrupted
    ended = charlm(folder, verb, run, *arguments, fault=Fault(place, call, action))
    # A signal that kills a process is what a shell calls 128 + its number.
    assert (128 - ended.code if ended.code < 0 else ended.code) == code
    assert "Traceback" not in ended.err
    assert result(run) == wanted


def test_a_second_process_is_refused_by_the_pid_and_a_dead_one_holds_nothing(folder, uninterrupted):
    run, sign = folder / "run", folder / "reached"
    fault = Fault(STEP, 6, "wait", str(sign))
    first = Charlm(folder, "train", folder / "text.txt", "--out", run, *TRAINING, fault=fault)
    until = time.monotonic() + 60
    while not sign.exists():
        assert time.monotonic() < until and first.process.is_alive()
        time.sleep(0.02)
    for arguments in (["--resume"], ["--force", folder / "text.txt"]):
        second = charlm(folder, "train", *arguments, "--out", run)
        assert second.code == 2
        assert f"process {first.pid} " in second.err, second.err
    # Reading needs no lock.
    assert charlm(folder, "generate", run, "--length", 3).code == 0
    os.kill(first.pid, signal.SIGKILL)
    assert first.ended().code == -9
    assert last_step(run) == 5
    assert metrics(run)[-1]["step"] == 5
    assert resume(folder, run).code == 0
    assert result(run) == uninterrupted[1]
