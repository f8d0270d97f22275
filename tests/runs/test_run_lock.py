"""One writer at a time: the second is told who, the dead are forgotten."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from charlm.errors import MachineError, UsageError
from charlm.runs.directory import RunDirectory
from charlm.runs.lock import RunLock

HOLD = """
import sys, time
from pathlib import Path
from charlm.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(run: RunDirectory):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_is_told_who_holds_it(run: RunDirectory, other: subprocess.Popen):
    for attempt in (run.lock().__enter__, lambda: RunDirectory.create(run.path, force=True)):
        for _ in range(2):  # being refused does not wipe the holder's name
            with pytest.raises(UsageError) as caught:
                attempt()
            assert f"process {other.pid} on {socket.gethostname()}" in caught.value.what
            assert caught.value.exit_code == 2
    assert (run.checkpoints / "100").is_dir()


def test_the_lock_of_a_killed_process_heals(run: RunDirectory, other: subprocess.Popen):
    other.send_signal(signal.SIGKILL)
    other.wait()
    with run.lock():
        assert f"\npid {os.getpid()}\n" in (run.path / ".lock").read_text()


def test_it_is_released_at_the_end_and_after_an_error(run: RunDirectory):
    with pytest.raises(KeyError), run.lock():
        raise KeyError
    with run.lock(), pytest.raises(UsageError, match=f"process {os.getpid()}"):
        run.lock().__enter__()
    with run.lock():
        pass


def test_a_longer_old_signature_leaves_no_rest(run: RunDirectory):
    (run.path / ".lock").write_text("charlm 99.99.99.long\npid 123456789\nhost " + "h" * 200 + "\n")
    with run.lock():
        text = (run.path / ".lock").read_text()
    assert text.count("\n") == 3 and "h" * 200 not in text


def test_a_lock_that_is_a_link_is_not_followed(run: RunDirectory, tmp_path: Path):
    (tmp_path / "outside").write_text("mine")
    (run.path / ".lock").unlink()
    (run.path / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises((MachineError, UsageError)):
        RunLock(run.path).__enter__()
    assert (tmp_path / "outside").read_text() == "mine"
