"""Rows of a table that several processes have read, each its own: the sum, and the step by it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from charlm.training.row_adagrad import RowAdagrad

R, E = 9, 4
# What each process has read in each step: other rows, other numbers of them, some of both.
ROWS = [([0, 2, 2, 7], [2]), ([5], [5, 5, 1, 0, 8, 5]), ([3, 3], [4])]

# One process: its gradients, summed with the other's, and a step; the table at the end.
PROCESS = f"""
import os, sys, numpy as np, torch
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_sparse_ranks import ROWS, matrix, table, values
from charlm.training.ranks import joined
from charlm.training.row_adagrad import RowAdagrad

with joined() as ranks:
    rows, dense = table(), matrix()
    optimizer = RowAdagrad([rows], 0.3)
    sums = []
    for step, read in enumerate(ROWS):
        rows.grad, dense.grad = values(step, ranks.rank, read[ranks.rank])
        sums.append(ranks.summed([dense, rows], 1.0 + ranks.rank))
        assert rows.grad.is_sparse and sums[-1] == 3.0
        optimizer.step()
    np.savez(sys.argv[1], table=rows.detach().numpy(), dense=dense.grad.numpy())
os._exit(0)  # as api.train says: gloo's threads may end a process with SIGABRT as Python ends
"""


def table():
    return nn.Parameter(torch.ones(R, E))


def matrix():
    return nn.Parameter(torch.zeros(2, 3))


def values(step, rank, rows):
    """The gradients of a table and of a matrix."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    read = torch.randn(len(rows), E, generator=generator)
    sparse = torch.sparse_coo_tensor(torch.tensor([rows]), read, (R, E))
    return sparse, torch.randn(2, 3, generator=generator)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """What two processes came to."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    folder = tmp_path_factory.mktemp("ranks")
    files = [folder / f"{rank}.npz" for rank in range(2)]
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
             "TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, file],
            env=os.environ | where | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank, file in enumerate(files)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    return [np.load(file) for file in files]


def test_both_take_the_step_of_one_process_that_read_all(ended):
    alone = table()
    optimizer = RowAdagrad([alone], 0.3)
    for step, read in enumerate(ROWS):
        parts = [values(step, rank, read[rank]) for rank in range(2)]
        alone.grad = (parts[0][0] + parts[1][0]).coalesce()
        optimizer.step()
        dense = parts[0][1] + parts[1][1]
    for found in ended:
        np.testing.assert_allclose(found["table"], alone.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(found["dense"], dense.numpy(), rtol=1e-6)
    untouched = 6
    assert (ended[0]["table"][untouched] == 1).all()
    assert (np.delete(ended[0]["table"], untouched, axis=0) != 1).all()


def test_their_tables_have_the_same_bits(ended):
    np.testing.assert_array_equal(ended[0]["table"], ended[1]["table"])
