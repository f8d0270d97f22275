"""kill -9 before the Nth call of each kind by which training changes the disk, and at each step."""

import itertools

import pytest

from faults.processes import STEPS, Fault, last_step, result, resume, train

STEP = "charlm.training.loop:Loop._step"
# Calls by which files change. How many there are is found by trying: beyond the last one the run
# ends by itself.
CALLS = ("os:write", "os:rename", "os:replace", "os:symlink", "os:mkdir", "os:unlink", "os:rmdir")
FEW = {"os:write": (120,), "os:replace": (30,), "os:unlink": (40,)}


def kills(long_run):
    """Where and at which call: in the long run every step, and the calls of each kind in turn."""
    if not long_run:
        return [(call, number) for call, numbers in FEW.items() for number in numbers]
    steps = [(STEP, number) for number in range(1, STEPS + 1)]
    return steps + [(call, number) for call in CALLS for number in range(1, 60, 3)]


def test_killed_before_calls_of_the_system(folder, uninterrupted, record_property, long_run):
    tried, before, inside = 0, 0, 0
    for attempt, (place, number) in enumerate(kills(long_run)):
        run = folder / f"run{attempt}"
        killed = train(folder, run, fault=Fault(place, number, "kill"))
        if killed.code == 0:  # it makes fewer such calls
            continue
        assert killed.code == -9, killed.err
        tried += 1
        step = last_step(run)
        before += bool(step)
        hidden = [path for path in run.glob("checkpoints/.*.partial-*") if path.is_dir()]
        inside += bool(hidden)
        again = train(folder, run, "--resume")
        assert again.code == 0, again.err
        assert result(run) == uninterrupted[1], (place, number)
    record_property("tries", tried)
    assert before >= 2, "too few of them went on from a checkpoint"
    if long_run:
        assert tried >= 100 and inside >= 10


def test_killed_by_the_clock_of_another_process(folder, uninterrupted, record_property, long_run):
    """Each life ends after so many writes, whatever they are, until the run is finished."""
    tried = 0
    for writes in (37, 61, 97) if long_run else (97,):
        run = folder / f"lives{writes}"
        first = train(folder, run, fault=Fault("os:write", writes, "kill"))
        assert first.code == -9
        for _ in itertools.count():
            tried += 1
            # A run that was killed before its text was read has nothing to go on with.
            fault = Fault("os:write", writes, "kill")
            if not (run / "config.toml").exists():
                pytest.fail("it never came to a configuration")
            if resume(folder, run, fault=fault).code != -9:
                break
        assert result(run) == uninterrupted[1]
    record_property("tries", tried)
