"""What the machine does not have: files of that size, room on the disk, memory."""

import functools
import os
import resource
import shutil
import subprocess
import sys

import pytest
from contract.command import charlm

from charlm.runs.checkpoint import load
from faults.processes import TRAINING, Fault, result, resume, train

STEP = "charlm.training.loop:Loop._step"


def limit_files(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def limit_memory(more):
    """So many bytes of address space beyond what the process has now."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@pytest.mark.parametrize("size", [1_000, 4_000, 10_000, 20_000])
def test_files_may_not_grow_beyond_a_limit(folder, uninterrupted, size):
    """From the configuration to the weights: what is too large differs, the answer does not."""
    run = folder / "run"
    shutil.copytree(uninterrupted[0], run, symlinks=True)
    before = load(run, "last")
    ended = charlm(
        "train", "--resume", "--out", run, "--steps", 20,
        prepare=functools.partial(limit_files, size),
    )  # fmt: skip
    assert ended.code == 1, ended.err
    assert str(run) in ended.err and "Traceback" not in ended.err and "bug" not in ended.err
    assert "saved" not in ended.err.lower()
    assert load(run, "last").step == before.step
    assert resume(folder, run, "--steps", 20).code == 0
    assert load(run, "last").step == 20


SMALL_DISK = """
mount -t tmpfs -o size=1m tmpfs "$1" || exit 77
cp -a "$2" "$1/run" && cp -a "$3" "$1/text.txt" || exit 78
room=$(df -k --output=avail "$1" | tail -1)
head -c $(( (room - 12) * 1024 )) /dev/zero > "$1/filler"
"$4" -m charlm train --resume --out "$1/run" --steps 20 > "$1.out" 2> "$1.err"
echo "code $?"
rm "$1/filler"
"$4" -m charlm verify "$1/run"
echo "code $?"
"$4" -m charlm train --resume --out "$1/run" --steps 20 -q
echo "code $?"
"""


def test_a_disk_of_few_megabytes(folder, uninterrupted, long_run):
    """A real file system that is full, where this machine lets us mount one."""
    if not long_run or sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("in the long run, as root on Linux")
    disk = folder / "disk"
    disk.mkdir()
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", SMALL_DISK, "sh", disk, uninterrupted[0],
         folder / "text.txt", sys.executable],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip("no file system may be mounted here")
    error = (folder / "disk.err").read_text()
    codes = [line for line in ended.stdout.splitlines() if line.startswith("code")]
    assert codes == ["code 1", "code 0", "code 0"], (ended.stdout, ended.stderr, error)
    assert "No space left on device" in error and str(disk / "run") in error
    assert "saved" not in error.lower() and "Traceback" not in error


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_out_of_memory(folder, uninterrupted):
    run = folder / "run"
    much = ("--hidden-size", 20_000, "--embedding-size", 20_000, "--batch-size", 2, "--bptt", 8)
    ended = charlm(
        "train", folder / "text.txt", "--out", run, *TRAINING, *much,
        prepare=functools.partial(limit_memory, 2**30),
    )  # fmt: skip
    assert ended.code == 1, ended.err
    assert "MiB" in ended.err and "--hidden-size" in ended.err and "Traceback" not in ended.err
    # In a run that has checkpoints they stay as they were.
    run = folder / "copy"
    ended = train(folder, run, fault=Fault(STEP, 9, "no memory"))
    assert ended.code == 1, ended.err
    assert "MiB" in ended.err and "--hidden-size" in ended.err and "bug" not in ended.err
    assert load(run, "last").step == 8
    assert resume(folder, run).code == 0
    assert result(run) == uninterrupted[1]
