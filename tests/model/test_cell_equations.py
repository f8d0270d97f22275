"""Each cell's kernels against its equations in NumPy (float64, 1e-10), and against torch.nn."""

import numpy as np
import pytest
import torch
from reference import cells_numpy

from charlm import registry
from charlm.model.cells.base import make_cell
from charlm.model.kernels import reference, sequence
from charlm.model.stack import RecurrentStack

T, B, I, H = 3, 4, 5, 6  # noqa: E741
CELLS = [
    *((cell, None) for cell in registry.CELLS if cell not in ("rnn", *cells_numpy.WINDOWS)),
    *(("rnn", name) for name in ("sigmoid", "tanh", "relu")),
    *((cell, name) for cell in cells_numpy.WINDOWS for name in ("sigmoid", "tanh", "relu")),
]
every_cell = pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)


def problem(cell, seed=0, T=T, B=B, I=I, H=H):  # noqa: E741
    """Random x, state parts and weights, as float64 tensors."""
    rng = np.random.default_rng(seed)
    kind = make_cell(cell)
    rows = kind.gates * H
    hidden = (rows if kind.recurrent else 0, H)
    shapes = [(T, B, I), *[(B, H)] * len(kind.state_names), (rows, I), hidden, (rows,), (rows,)]
    # By NumPy an empty tensor would have strides that gradcheck refuses.
    x, *rest = (torch.tensor(rng.normal(0, 0.6, shape)) for shape in shapes)
    rest = [part if part.numel() else torch.zeros(part.shape, dtype=part.dtype) for part in rest]
    return x, tuple(rest[: len(kind.state_names)]), rest[len(kind.state_names) :]


def runner(kernel, cell, nonlinearity):
    kind = make_cell(cell, nonlinearity=nonlinearity)
    if kernel == "reference":
        return lambda *arguments: reference.run(kind, *arguments)
    steps = registry.resolve(registry.FUSED_KERNELS, cell)
    return lambda *arguments: sequence.run(steps, kind, *arguments)


def masks_of(kind, parts):
    rng = np.random.default_rng(5)
    if kind == "zone":
        return None, tuple(torch.tensor(rng.random((T, B, H)) < 0.5).double() for _ in range(parts))
    rows = {"none": None, "shared": 1, "stream": B}[kind]
    mask = None if rows is None else torch.tensor((rng.random((rows, H)) < 0.6) / 0.6)
    return mask, None


@every_cell
@pytest.mark.parametrize("kernel", ["fused", "reference"])
@pytest.mark.parametrize("masks", ["none", "shared", "stream", "zone"])
def test_kernels_are_the_equations(cell, nonlinearity, kernel, masks):
    if masks == "zone" and cell in cells_numpy.WINDOWS:
        pytest.skip("nothing goes through time that could stay")
    x, state, weights = problem(cell)
    mask, zone = masks_of(masks, len(state))
    y, after = runner(kernel, cell, nonlinearity)(x, state, *weights, mask, zone)
    wanted_y, wanted = cells_numpy.run(
        cell,
        nonlinearity,
        x.numpy(),
        [part.numpy() for part in state],
        *(weight.numpy() for weight in weights),
        None if mask is None else mask.numpy(),
        None if zone is None else [part.numpy() for part in zone],
    )
    np.testing.assert_allclose(y.numpy(), wanted_y, rtol=0, atol=1e-10)
    for found, part in zip(after, wanted, strict=True):
        np.testing.assert_allclose(found.numpy(), part, rtol=0, atol=1e-10)


@every_cell
@pytest.mark.parametrize("masks", ["none", "stream", "zone"])
def test_gradcheck_of_the_fused_function(cell, nonlinearity, masks):
    x, state, weights = problem(cell, seed=4)
    mask, zone = masks_of(masks, len(state))
    run = runner("fused", cell, nonlinearity)
    tensors = [tensor.requires_grad_() for tensor in (x, *state, *weights)]

    def function(x, *rest):
        y, after = run(x, rest[: len(state)], *rest[len(state) :], mask, zone)
        return y, *after

    assert torch.autograd.gradcheck(function, tensors, atol=1e-8)


@every_cell
def test_the_fused_state_is_not_a_view_that_a_later_pass_changes(cell, nonlinearity):
    x, state, weights = problem(cell)
    run = runner("fused", cell, nonlinearity)
    y, after = run(x, state, *weights)
    kept = [part.clone() for part in (y, *after, x, *state, *weights)]
    run(x, after, *weights)
    y[-1] = 0
    for found, wanted in zip((*after, x, *state, *weights), kept[1:], strict=True):
        assert torch.equal(found, wanted)


TORCH = {
    ("lstm", None): lambda: torch.nn.LSTM(I, H, 2),
    ("gru", None): lambda: torch.nn.GRU(I, H, 2),
    ("rnn", "tanh"): lambda: torch.nn.RNN(I, H, 2, "tanh"),
    ("rnn", "relu"): lambda: torch.nn.RNN(I, H, 2, "relu"),
}


@pytest.mark.parametrize("kernel", ["auto", "fused", "reference"])
@pytest.mark.parametrize(("cell", "nonlinearity"), TORCH)
def test_weights_of_torch_nn_convert_one_to_one(cell, nonlinearity, kernel):
    torch.manual_seed(0)
    theirs = TORCH[cell, nonlinearity]().double()
    with torch.no_grad():
        for p in theirs.parameters():
            p.normal_(0, 0.5)  # both biases too
    ours = RecurrentStack(make_cell(cell, nonlinearity=nonlinearity), I, (H, H)).double()
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    with torch.no_grad():
        for number, layer in enumerate(ours):
            for name in names:
                getattr(layer, name).copy_(getattr(theirs, f"{name}_l{number}"))
    x = torch.randn(T, B, I, dtype=torch.float64)
    start = torch.randn(len(ours.cell.state_names), 2, B, H, dtype=torch.float64)
    y, after = theirs(x, tuple(start) if cell == "lstm" else start[0])
    after = after if cell == "lstm" else (after,)
    found, state = ours(x, tuple(zip(*start, strict=True)), kernel=kernel)
    torch.testing.assert_close(found, y, rtol=0, atol=1e-10)
    for number in range(2):
        for part, wanted in zip(state[number], after, strict=True):
            torch.testing.assert_close(part, wanted[number], rtol=0, atol=1e-10)
    weight = torch.randn_like(y)
    (y * weight).sum().backward()
    (found * weight).sum().backward()
    for number, layer in enumerate(ours):
        for name in names:
            wanted = getattr(theirs, f"{name}_l{number}").grad
            torch.testing.assert_close(getattr(layer, name).grad, wanted, rtol=0, atol=1e-10)


def test_the_two_grus_differ_by_where_r_acts_and_by_the_sense_of_z():
    """Without the reset gate (r = 1), the one is the other with z for 1 - z."""
    x, state, (weight_ih, weight_hh, bias_ih, bias_hh) = problem("gru")
    bias_hh = torch.zeros_like(bias_hh)
    with torch.no_grad():
        bias_ih[:H], weight_ih[:H], weight_hh[:H] = 100, 0, 0  # r = 1
    z = slice(H, 2 * H)
    y, _ = runner("fused", "gru", None)(x, state, weight_ih, weight_hh, bias_ih, bias_hh)
    for weight in (weight_ih, weight_hh, bias_ih):
        weight[z] *= -1
    other, _ = runner("fused", "gru-cho", None)(x, state, weight_ih, weight_hh, bias_ih, bias_hh)
    torch.testing.assert_close(y, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("N", [1, 2, 3, 5])
def test_a_window_is_the_convolution_of_torch(N):
    """From zeros, which are <pad> without a bias: its own padding."""
    torch.manual_seed(0)
    theirs = torch.nn.Conv1d(I, H, N).double()
    x = torch.randn(T + 1, B, I, dtype=torch.float64)
    padded = torch.nn.functional.pad(x.permute(1, 2, 0), (N - 1, 0))
    wanted = torch.tanh(torch.nn.functional.conv1d(padded, theirs.weight)).permute(2, 0, 1)
    stack = RecurrentStack(make_cell("feedforward", context=N), I, (H,), bias=False).double()
    with torch.no_grad():  # theirs has the last input at its last place
        stack[0].weight_ih.copy_(torch.cat(theirs.weight.flip(2).unbind(2)))
    for kernel in ("fused", "reference"):
        y, state = stack(x, stack.empty_state(B), kernel=kernel)
        torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)
        assert len(state[0]) == N


@pytest.mark.parametrize("layers", [1, 3])
def test_nothing_is_known_of_what_lies_before_the_window(layers):
    stack = RecurrentStack(make_cell("conv", context=3, nonlinearity="tanh"), I, (H,) * layers)
    with torch.no_grad():
        for p in stack.parameters():
            p.normal_()
    x = torch.randn(12, 1, I, requires_grad=True)
    y, _ = stack(x, stack.empty_state(1))
    y[10].sum().backward()
    seen = [t for t in range(12) if x.grad[t].any()]
    assert seen == list(range(10 - layers * 2, 11))


def test_the_bias_of_a_place_is_what_a_pad_there_has_not():
    """With an input of zeros for <pad>, the sum lacks just the biases of the places before."""
    stack = RecurrentStack(make_cell("feedforward", context=3), I, (H,)).double()
    torch.manual_seed(1)
    with torch.no_grad():
        for p in stack.parameters():
            p.normal_()
    x = torch.randn(1, 1, I, dtype=torch.float64)
    y, _ = stack(x, stack.empty_state(1))
    b = stack[0].bias_ih.view(3, H)
    z = x[0, 0] @ stack[0].weight_ih[:H].T + b.sum(0)
    torch.testing.assert_close(y[0, 0], torch.tanh(z - b[1] - b[2]), rtol=0, atol=1e-12)
