"""The width for a budget, and what a machine that computes wide layers slowly makes of it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from charlm import registry
from charlm.model.cells.base import make_cell
from charlm.model.stack import RecurrentStack
from charlm.training.pace import _TRIES, Pace, operations
from charlm.training.widths import best_of_narrower, by_work, rounded, widest

CELLS = sorted(registry.CELLS)


@given(st.integers(2, 64).map(lambda n: 64 * n), st.floats(1e2, 1e12))
def test_at_one_rate_the_width_of_the_rule_is_the_best(width, supposed):
    assert best_of_narrower(width, supposed, lambda w: supposed * (width / w) ** 2) == width


@pytest.mark.parametrize(("slower", "expected"), [(1.05, 1344), (3.0, 1024), (1e6, 1024)])
def test_beyond_the_caches_a_narrower_one(slower, expected):
    def tokens(w):
        return 1e7 * (1344 / w) ** 2 / (slower if w > 1024 else 1)

    assert best_of_narrower(1344, 1e7, tokens) == expected


def test_a_width_four_times_the_work_wider_by_its_power():
    assert by_work(4e5) / by_work(1e5) == pytest.approx(4**0.4)
    assert widest(4_000_000) == pytest.approx(2 * widest(1_000_000))
    for width in (1, 17, 100, 127, 129, 1000.4, 5000):
        unit = 64 if width >= 128 else 16
        assert rounded(width) % 16 == 0 and abs(rounded(width) - width) <= max(unit / 2, 16)


@pytest.mark.parametrize("name", CELLS)
def test_operations_are_those_that_torch_counts(name):
    cell = make_cell(name, context=3 if "context" in make_cell(name).options else None)
    T, B, I, H = 3, 4, 5, 6  # noqa: E741
    stack = RecurrentStack(cell, I, (H,))
    stack[0].initialise("uniform", torch.Generator().manual_seed(0), np.zeros(cell.gates * H, "f"))
    x = torch.randn(T, B, I, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        y, _ = stack(x, stack.empty_state(B), kernel="reference")
        y.sum().backward()
    # At the first step no gradient goes back to the empty state (but to what a gate makes of it).
    least = 2 * cell.gates * H * H * B if cell.recurrent else 0
    expected = operations(cell, H, I) * T * B
    assert expected - least <= counter.get_total_flops() <= expected


@pytest.mark.parametrize("name", CELLS)
def test_a_try_finds_a_rate_and_disturbs_nothing(name):
    cell = make_cell(name, context=3 if "context" in make_cell(name).options else None)
    before = torch.get_rng_state()
    one, two = (Pace("cpu", "fp32", 10.0, n)(cell, 16, 8, 4) for n in (1, 1000))
    assert 0 < one < 1e5 and two > 20 * one
    assert torch.equal(before, torch.get_rng_state())


def test_a_layer_too_wide_to_try_counts_as_the_widest_that_is(monkeypatch):
    monkeypatch.setattr("charlm.training.pace._WIDEST", 32)
    assert math.isfinite(Pace("cpu", "fp32", 10.0)(make_cell("lstm"), 10**7, 10**6, 4))


def test_streams_are_shared_by_processes_and_too_many_count_as_some(monkeypatch):
    tried = []

    def seconds(self, layer, x):
        tried.append(x.shape[1])
        return 1.0

    monkeypatch.setattr(Pace, "_seconds", seconds)
    for processes, streams in ((1, 32), (4, 32), (4, 2), (1, 10**9)):
        Pace("cpu", "fp32", 10.0, processes)(make_cell("lstm"), 16, 8, streams)
    assert tried[:: _TRIES + 1] == [32, 8, 1, 64]


def test_the_kernel_that_is_asked_for_is_tried(monkeypatch):
    asked = []
    forward = RecurrentStack.forward

    def noted(self, *args, **how):
        asked.append((how["kernel"], how["precision"]))
        return forward(self, *args, **how)

    monkeypatch.setattr(RecurrentStack, "forward", noted)
    Pace("cpu", "bf16", 10.0, 1, "reference")(make_cell("gru"), 16, 8, 4)
    assert set(asked) == {("reference", torch.bfloat16)}
