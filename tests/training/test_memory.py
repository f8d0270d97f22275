"""Memory kept from step to step: what is freed stays with the process, to be used again."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
from charlm.training import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

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


@pytest.mark.skipif(sys.platform != "linux", reason="glibc, and pages of Linux")
def test_what_is_freed_is_kept_until_it_is_not_wanted_any_more():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    given_back, kept, again, returned = (int(n) / 1e6 for n in ended.stdout.split())
    assert given_back < 10 and again < 10
    assert kept > 90 and returned > 90
