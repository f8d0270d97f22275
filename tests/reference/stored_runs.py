"""What a run has stored, and two runs compared by it."""

import numpy as np

import charlm
from charlm.runs import checkpoint as checkpoints


def weights(run):
    return checkpoints.load(run, "last").groups["weights"]


def assert_same_arrays(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def assert_stopped_is_never_stopped(text, folder, steps, **how):
    """A run over so many steps, and one that stops half-way and goes on, end with the same
    arrays: weights, averages, what the optimiser keeps, states."""
    whole, halves = folder / "whole", folder / "halves"
    charlm.train([text], whole, steps=steps, **how)
    charlm.train([text], halves, steps=steps // 2, **how)
    charlm.train(out=halves, resume=True, steps=steps)
    groups = [checkpoints.load(run, "last").groups for run in (whole, halves)]
    assert groups[0].keys() == groups[1].keys()
    for name, arrays in groups[0].items():
        assert_same_arrays(arrays, groups[1][name])
