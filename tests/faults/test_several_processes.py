"""Several processes that train one model, as torchrun starts them, and what when one ends."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from charlm.runs.checkpoint import load
from faults.processes import (
    STEPS,
    TRAINING,
    Charlm,
    Fault,
    charlm,
    last_step,
    metrics,
    result,
    resume,
)

STREAMS = "charlm.training.language_modelling:LanguageModelling.loss"
ZONEOUT = ("--temporal-dropout-kind", "zoneout", "--ema", 0.7)


@dataclass(frozen=True)
class Rank:
    """The environment that torchrun gives a process; `also`: a fault."""

    rank: int
    size: int
    port: int
    also: Any = None

    def install(self):
        os.environ.update(
            {"RANK": str(self.rank), "LOCAL_RANK": str(self.rank), "WORLD_SIZE": str(self.size),
             "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.port),
             "TORCHELASTIC_USE_AGENT_STORE": "True"}
        )  # fmt: skip
        if self.also is not None:
            self.also.install()


def meeting_place():
    """What torchrun keeps beside its processes."""
    from torch.distributed import TCPStore

    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def together(folder, *arguments, size=2, faults=None):
    """The same command in `size` processes; how each ended."""
    store, faults = meeting_place(), faults or {}
    started = [
        Charlm(folder, *arguments, fault=Rank(rank, size, store.port, faults.get(rank)))
        for rank in range(size)
    ]
    return [process.ended() for process in started]


def train(folder, run, *more, **how):
    return together(folder, "train", folder / "text.txt", "--out", run, *TRAINING, *more, **how)


def assert_alike(run, other):
    """The same figures and weights, to rounding; but for what is looked at in some of the streams
    of the first process."""
    found, expected = metrics(run), metrics(other)
    assert [r.keys() for r in found] == [r.keys() for r in expected]
    for record, wanted in zip(found, expected, strict=True):
        for key in wanted.keys() - {"gradient_carried", "saturated_share"}:
            value = wanted[key]
            close = value if isinstance(value, str | None) else pytest.approx(value, rel=1e-4)
            assert record[key] == close, (wanted["step"], key)
    groups, wanted = load(run, "last").groups, load(other, "last").groups
    assert groups.keys() == wanted.keys()
    for group, arrays in wanted.items():
        assert groups[group].keys() == arrays.keys()
        if group != "optimizer":
            for name, array in arrays.items():
                np.testing.assert_allclose(groups[group][name], array, atol=2e-4, err_msg=name)


def test_two_processes_train_what_one_does(folder):
    """The state of all streams is saved, and only the first process speaks and writes."""
    assert charlm(folder, "train", folder / "text.txt", "--out", folder / "one",
                  *TRAINING, *ZONEOUT).code == 0  # fmt: skip
    first, second = train(folder, folder / "two", "--json", *ZONEOUT)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert second.out + second.err == "" and '"steps": 17' in first.out
    assert_alike(folder / "two", folder / "one")


def test_killed_and_resumed_ends_with_the_same_bytes_in_as_many_processes(folder):
    run = folder / "run"
    assert [p.code for p in train(folder, folder / "whole", size=3)] == [0, 0, 0]
    first, second, third = train(folder, run, size=3, faults={1: Fault(STREAMS, 9, "kill")})
    assert (first.code, second.code, third.code) == (1, -9, 1)
    assert "one of the 3 processes has ended" in first.err
    assert f"torchrun --nproc-per-node 3 -m charlm train --resume --out {run}" in first.err
    assert third.err == second.err == "", "the first one speaks"
    assert last_step(run) == 8
    assert [p.code for p in together(folder, "train", "--resume", "--out", run, size=3)] == [
        0, 0, 0
    ]  # fmt: skip
    assert result(run) == result(folder / "whole")


def test_what_two_began_one_can_end(folder, uninterrupted):
    run = folder / "run"
    first, second = train(folder, run, faults={0: Fault(STREAMS, 9, "interrupt")})
    assert (first.code, second.code) == (130, 0), first.err
    assert "-m charlm train --resume" in first.err
    assert last_step(run) == 9 and second.err == ""
    assert resume(folder, run).code == 0
    assert_alike(run, uninterrupted[0])


def test_where_the_first_is_killed_one_other_speaks(folder):
    run = folder / "run"
    first, *others = train(folder, run, size=3, faults={0: Fault(STREAMS, 6, "kill")})
    assert first.code == -9 and [p.code for p in others] == [1, 1]
    (said,) = [p.err for p in others if p.err]
    assert "one of the 3 processes has ended" in said and "--resume" in said
    assert "Traceback" not in said and last_step(run) == 5


def test_a_process_that_fails_has_its_reason_told_by_the_first(folder):
    fault = Fault("charlm.text.token_cache:TokenCache.open", 1, "disk full")
    first, second = train(folder, folder / "run", faults={1: fault})
    assert (first.code, second.code) == (1, 1)
    assert "one of the 2 processes has ended (OSError)" in first.err
    assert second.err == ""


def test_they_diverge_together_and_go_on_together(folder):
    """After NaN in the streams of either process, all go on at half the rate."""
    first, second = train(folder, folder / "run", faults={1: Fault(STREAMS, 9, "nan")})
    assert (first.code, second.code) == (0, 0), first.err
    assert "at half the learning rate" in first.err
    assert last_step(folder / "run") == STEPS


def test_a_mistake_is_told_once_and_nobody_waits(folder):
    first, second = train(folder, folder / "run", "--batch-size", 1)
    assert (first.code, second.code) == (2, 0)
    assert "2 processes and 1 streams" in first.err and second.err == ""


def test_torchrun_starts_them(folder):
    """The real one, once: what it sets in the environment is what is read."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "charlm", "train", folder / "text.txt", "--out", folder / "run", *TRAINING,
    ]  # fmt: skip
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert len(re.findall(r"^step=17 split=valid", ended.stderr, re.MULTILINE)) == 1
    assert load(folder / "run", "last").groups["carried"]["0.h"].shape == (3, 12)


@pytest.mark.parametrize(
    ("size", "arguments", "code"),
    [("2", ["--version"], 0), ("2", ["train", "--nothing"], 2), ("1", ["--version"], -6)],
)
def test_what_goes_wrong_while_python_is_taken_down_does_not_count(size, arguments, code):
    """As gloo's threads do at times: torchrun would say that training failed when it is done."""
    program = (
        "import atexit, os; atexit.register(os.abort); from charlm.cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"WORLD_SIZE": size, "RANK": "0", "LOCAL_RANK": "0"},
    )
    assert ended.returncode == code
    assert ended.stdout.startswith("charlm ") == (arguments == ["--version"])
    assert ("--nothing" in ended.stderr) == (code == 2)
