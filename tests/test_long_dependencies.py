"""The task with a long dependency: what is asked, and who can answer it."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from long_dependencies import CELLS, SYMBOLS, Network, learn, picture, table, task


def test_the_symbol_stands_at_the_first_step_alone() -> None:
    x, symbols = task(7, 5, 1, 0)
    assert x.shape == (7, 5, SYMBOLS + 1)
    assert torch.equal(x[0, :, :-1].argmax(1), symbols) and (x[0].sum(1) == 1).all()
    assert (x[1:, :, :-1] == 0).all() and (x[1:, :, -1] > 0).all()
    assert not torch.equal(task(7, 5, 1, 1)[0], x)


def test_what_is_carried_is_the_gradient_by_differences() -> None:
    """In float64, for the first unit of the first stream."""
    network = Network("tanh", 4, 1)
    network.layers.double()
    network.decoder.double()
    x, symbols = task(4, 1, 1, 0)
    x = x.double()
    total, small = 0.0, 1e-5
    for unit in range(32):
        losses = []
        for sign in (1, -1):
            (state,) = network.layers.empty_state(1)
            state[0][0, unit] += sign * small
            y, _ = network.layers(x, (state,))
            loss = torch.nn.functional.cross_entropy(network.decoder(y[-1]), symbols)
            losses.append(loss.item())
        total += ((losses[0] - losses[1]) / 2 / small) ** 2
    y, _ = network.layers(x, network.layers.empty_state(1))
    p = torch.softmax(network.decoder(y[-1]), 1)
    p[0, symbols[0]] -= 1
    last = (p @ network.decoder.weight).norm().item()
    assert network.loss(x, symbols, carried=True)[1] == pytest.approx(total**0.5 / last, rel=1e-5)


def test_who_learns_over_twenty_steps(tmp_path: Path) -> None:
    found = {name: {20: learn(name, 20, 120, 1)} for name in ("sigmoid", "GRU")}
    assert found["sigmoid"][20].right < 0.35 and found["sigmoid"][20].carried_before < 1e-8
    assert found["GRU"][20].right > 0.9 and found["GRU"][20].carried_before > 0.1
    assert "| GRU | " in table(found)
    picture(found, tmp_path / "a.svg")
    assert "GRU" in (tmp_path / "a.svg").read_text("utf-8")
    assert set(found) <= set(CELLS)
