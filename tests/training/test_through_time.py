"""What training sees of its gradient and its gates, against the equations and finite numbers."""

import numpy as np
import pytest
import torch
from model.kinds import CELLS
from reference.texts import english
from torch.nn import functional as F

from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.through_time import ThroughTime, in_words, saturated_share

B, T = 3, 9


def task_of(cell, nonlinearity=None, layers=2, init="orthogonal", clip=None, hidden=6):
    text = english(12)
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char", min_count=1), [text])
    a = Architecture(
        tokenizer.vocabulary_size, cell, layers, hidden, 5, False, nonlinearity=nonlinearity
    )
    model = LanguageModel(a).initialise(init, Draws(1, 0)).double()
    batches = StreamBatches(
        tokenizer.encode(text), np.zeros(1, np.int64), tokenizer.boundary_id, tokenizer.grammar,
        B, T, 0.0, 1,
    )  # fmt: skip
    return LanguageModelling(model, batches, DropoutRates(), 1)


@pytest.mark.parametrize("name", [n for n, kind in CELLS.items() if kind.make().recurrent])
def test_carried_is_the_gradient_of_the_last_loss_by_differences(name):
    """d L_T / d start, one number of the state after the other, by central differences."""
    kind = CELLS[name]
    task = task_of(kind.cell, kind.nonlinearity)
    for step in range(2):
        task.loss(step)
    found = task.through_time(2)
    window, model = task.batches.window(2), task.model

    def last_loss(state):
        with torch.no_grad():
            y = model.logits(model(window.inputs, state).outputs[-1])
            illegal = torch.from_numpy(~task.batches.grammar.legal[window.states[-1]])
            y = y.masked_fill(illegal, -torch.inf)
            return F.cross_entropy(y, window.targets[-1]).item()

    total, small = 0.0, 1e-5
    for layer in range(2):
        for part in range(len(task.state[0])):
            values = task.state[layer][part]
            for place in np.ndindex(*values.shape):
                losses = []
                for sign in (1, -1):
                    moved = [[p.clone() for p in parts] for parts in task.state]
                    moved[layer][part][place] += sign * small
                    losses.append(last_loss(tuple(tuple(parts) for parts in moved)))
                total += ((losses[0] - losses[1]) / 2 / small) ** 2
    outputs = model(window.inputs, task.state).outputs[-1].detach().requires_grad_()
    illegal = torch.from_numpy(~task.batches.grammar.legal[window.states[-1]])
    loss = F.cross_entropy(
        model.logits(outputs).masked_fill(illegal, -torch.inf), window.targets[-1]
    )
    (last,) = torch.autograd.grad(loss, outputs)
    assert found.carried == pytest.approx(np.sqrt(total) / last.norm().item(), rel=1e-4)
    assert found.steps == T


def test_looking_changes_nothing():
    looked, plain = task_of("lstm"), task_of("lstm")
    losses = []
    for task in (looked, plain):
        found = []
        for step in range(4):
            loss = task.loss(step).loss
            loss.backward()
            if task is looked:
                before = [p.grad.clone() for p in task.model.parameters()]
                first = task.through_time(step + 1)
                assert task.through_time(step + 1) == first
                assert all(
                    torch.equal(a, p.grad)
                    for a, p in zip(before, task.model.parameters(), strict=True)
                )
            found.append(loss.item())
        losses.append(found)
    assert losses[0] == losses[1]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru-cho"])
def test_saturated_gates_of_gated_cells(cell):
    task = task_of(cell, layers=1)
    task.loss(0)
    model, layer = task.model, next(iter(task.model.layers))
    with torch.no_grad():
        for p in layer.parameters():
            p.mul_(3)
        ids = torch.tensor([1, 2, 3])
        x = model.embedding.weight[ids].numpy()
        h = task.state[0][0].numpy()
        w_ih, w_hh, b_ih, b_hh = (
            getattr(layer, name).detach().numpy()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
    z = x @ w_ih.T + b_ih + h @ w_hh.T + b_hh
    gates = {"lstm": [0, 1, 3], "gru": [0, 1], "gru-cho": [0, 1]}[cell]
    values = np.concatenate([sigmoid(z[:, 6 * g : 6 * g + 6]).ravel() for g in gates])
    wanted = np.mean((values < 0.1) | (values > 0.9))
    assert 0 < wanted < 1
    assert saturated_share(model, ids, task.state) == pytest.approx(wanted)


@pytest.mark.parametrize("nonlinearity", ["sigmoid", "tanh", "relu"])
def test_saturated_units_of_plain_networks(nonlinearity):
    task = task_of("rnn", nonlinearity, layers=1)
    task.loss(0)
    layer, ids = next(iter(task.model.layers)), torch.tensor([1, 2, 3])
    x = task.model.embedding.weight[ids]
    z = x @ layer.weight_ih.T + layer.bias_ih + task.state[0][0] @ layer.weight_hh.T + layer.bias_hh
    h = getattr(torch, nonlinearity)(z)
    flat = {"sigmoid": (h < 0.1) | (h > 0.9), "tanh": h.abs() > 0.8, "relu": z <= 0}[nonlinearity]
    wanted = flat.double().mean().item()
    assert 0 < wanted < 1
    assert saturated_share(task.model, ids, task.state) == pytest.approx(wanted)


def test_a_sigmoid_network_is_warned_of_and_an_lstm_is_not():
    found = task_of("rnn", "sigmoid", layers=1, hidden=16).through_time(0)
    said = in_words(found, 0.3)
    assert list(said) == ["vanishes"]
    for remedy in ("--cell lstm", "gru", "relu", "--init identity"):
        assert remedy in said["vanishes"]
    assert not in_words(task_of("lstm", layers=1, hidden=16).through_time(0), 0.3)


@pytest.mark.parametrize(
    ("found", "norm", "kinds"),
    [
        (ThroughTime(0.5**20 * 0.9, 0.1, 20), 1.0, ["vanishes"]),
        (ThroughTime(0.5**20 * 1.1, 0.1, 20), 1.0, []),
        (ThroughTime(0.0, 0.1, 7), 1.0, []),  # too few steps to say so
        (ThroughTime(101.0, 0.1, 20), 1.0, ["explodes"]),
        (ThroughTime(99.0, 0.1, 20), 99.0, []),
        (ThroughTime(1.0, 0.1, 20), 101.0, ["explodes"]),
        (ThroughTime(0.0, 0.1, 20), 101.0, ["vanishes", "explodes"]),
    ],
)
def test_when_something_is_said(found, norm, kinds):
    said = in_words(found, norm)
    assert list(said) == kinds
    if "explodes" in said:
        assert "--clip-norm" in said["explodes"] and "--lr" in said["explodes"]
