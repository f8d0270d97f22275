"""A real terminal: Ctrl-C typed on it, and one that goes away while training."""

import json
import os
import pty
import sys
import time

import pexpect
from contract.command import Process

from faults.processes import TRAINING, metrics, resume


def command(folder, run, steps):
    """Arguments of a training that takes a while."""
    return ["train", folder / "text.txt", "--out", run, *TRAINING, "--steps", steps,
            "--save-every", 1e6]  # fmt: skip


def test_ctrl_c_typed_on_a_terminal(folder):
    run = folder / "run"
    arguments = ["-m", "charlm", *map(str, command(folder, run, 10**7))]
    terminal = pexpect.spawn(sys.executable, arguments, timeout=60, encoding="utf-8")
    terminal.setecho(False)
    terminal.expect("best|valid")  # the first evaluation
    terminal.sendintr()
    terminal.expect("charlm train --resume --out")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130, terminal.before
    assert (run / "checkpoints" / "last").is_symlink()


def test_training_goes_on_when_the_terminal_is_gone(folder):
    run = folder / "run"
    ours, theirs = pty.openpty()
    process = Process(
        *command(folder, run, 40), stderr=theirs, environment={"TERM": "xterm"}
    )  # fmt: skip
    os.close(theirs)
    until = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists():
        assert time.monotonic() < until and process.alive()
        time.sleep(0.01)
    os.close(ours)
    ended = process.wait()
    assert ended.code == 0
    assert json.loads((run / "summary.json").read_text())["steps"] == 40
    assert metrics(run)[-1]["step"] == 40
    assert resume(folder, run).code == 0
