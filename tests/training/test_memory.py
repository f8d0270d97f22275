"""Memory kept from step to step: what is freed stays with the process, to be used again."""

import subprocess
import sys

import pytest

import charlm

RESIDENT = """
import numpy as np
from charlm.training import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
"""
SCRIPT = f"""{RESIDENT}
def grown():
    begin = resident()
    np.empty(100_000_000, np.uint8).fill(1)  # and freed
    return resident() - begin

memory.keep(False)
given_back = grown()
memory.keep()
kept = grown()
begin = resident()
again = grown()  # where it was before
memory.keep(False)
print(given_back, kept, again, begin - resident())
"""


def megabytes(script):
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return [int(n) / 1e6 for n in ended.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc, and pages of Linux")
def test_what_is_freed_is_kept_until_it_is_not_wanted_any_more():
    given_back, kept, again, returned = megabytes(SCRIPT)
    assert given_back < 10 and again < 10
    assert kept > 90 and returned > 90


IN_STAIRS = f"""{RESIDENT}
memory.keep()
begin = resident()
blocks, small = [], []
for number in range(20):
    blocks.append(np.ones(1_000_000))
    small.append(np.ones(100))
del blocks
before = resident()
memory.give_back()
print(before - begin, resident() - begin)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc, and pages of Linux")
def test_what_is_free_between_what_is_used_is_given_back():
    before, after = megabytes(IN_STAIRS)
    assert before > 150 and after < 10


def test_a_save_gives_back(tiny_text, tmp_path, monkeypatch):
    times = []
    monkeypatch.setattr("charlm.training.memory.give_back", lambda: times.append(1))
    charlm.train([tiny_text], tmp_path / "run", steps=4, save_every=0, hidden_size=8, threads=1)
    assert len(times) >= 4
