"""Memory kept from step to step: the kernel is asked for it once."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from charlm.training import memory

def faults():
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.empty(40_000_000, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin

memory.keep()
kept = faults()
memory.keep(False)
print(kept, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_large_arrays_are_asked_for_once():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    kept, given_back = map(int, ended.stdout.split())
    assert given_back > 5 * kept
