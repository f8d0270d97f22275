"""What holds for every cell, kernel, temporal dropout and dtype; new ones join by themselves.

`make conformance` writes what these tests see as a table: docs/conformance.md.
"""

import itertools

import pytest
import torch

from charlm import registry
from charlm.draws import Draws
from charlm.model import dropout
from charlm.model.cells.base import make_cell
from charlm.model.dropout import DropoutRates, Extent
from charlm.model.kernels import providers
from charlm.model.stack import Border, RecurrentStack
from model.kinds import CELLS, DROPOUTS, Kind, goes_with

T, B, E, SIZES, H = 5, 4, 3, (6, 7), 7


KERNELS = ("auto", "fused", "reference")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 1e-2}
DRAWS = Draws(7, 11)

every = pytest.mark.parametrize(
    ("cell", "kernel", "rates", "dtype"),
    [
        pytest.param(
            cell, kernel, rates, dtype, id=f"{cell_name} | {name} | {kernel} | {dtype_name}"
        )
        for (cell_name, cell), (name, rates), kernel, (dtype_name, dtype) in itertools.product(
            CELLS.items(),
            DROPOUTS.items(),
            KERNELS,
            {str(dtype)[6:]: dtype for dtype in TOLERANCES}.items(),
        )
        if goes_with(cell, rates)
    ],
)


def stack_of(cell, dtype, rates=None, seed=0):
    """Two layers with every weight and bias drawn; float64 where that is asked."""
    zoneout = rates.temporal if rates and rates.temporal_kind == "zoneout" else 0.0
    stack = RecurrentStack(cell.make(), E, SIZES, cell.bias, zoneout)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in stack.parameters():
            p.normal_(0, 0.4, generator=generator)
    return stack.double() if dtype == torch.float64 else stack


def locked_draws(rates):
    """Draws that give every part of a window the same masks; zoneout draws at each step, and
    what it does without draws is the same for every part."""
    return None if rates.temporal_kind == "zoneout" else DRAWS


def inputs_of(dtype, seed=1):
    x = torch.randn(T, B, E, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x if dtype == torch.float64 else x.bfloat16().float()


def started(stack, x, kernel, rates, dtype):
    """The state after some text, so that nothing starts from zeros."""
    draws = locked_draws(rates)
    _, state = stack(x.flip(0), stack.empty_state(B), (), rates, draws, kernel, dtype)
    return tuple(tuple(part.detach() for part in layer) for layer in state)


def parts_of(y, state):
    return [y.double(), *(part.double() for layer in state for part in layer)]


def assert_near(found, wanted, tolerance):
    for a, b in zip(parts_of(*found), parts_of(*wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def deviation(found, wanted):
    """The largest difference, as a share of the largest number where that is above 1."""
    difference = (found.detach().double() - wanted.detach()).abs().max()
    return float(difference / wanted.detach().abs().max().clamp(min=1))


def streams(state, which):
    return tuple(tuple(part[which] for part in layer) for layer in state)


@every
def test_agrees_with_the_reference_in_float64(cell, kernel, rates, dtype, record_property):
    exact, found = stack_of(cell, torch.float64), stack_of(cell, dtype)
    x = inputs_of(dtype)
    with torch.no_grad():
        for p, q in zip(exact.parameters(), found.parameters(), strict=True):
            if dtype == torch.bfloat16:
                # Near the kink of relu a rounded sum has another slope: stay on one side of it.
                q.copy_((q.abs() / 2 if cell.nonlinearity == "relu" else q).bfloat16())
            p.copy_(q)
    if dtype == torch.bfloat16 and cell.nonlinearity == "relu":
        x = x.abs()
    a = exact(x.double(), exact.empty_state(B), (), rates, DRAWS, "reference", torch.float64)
    b = found(x, found.empty_state(B), (), rates, DRAWS, kernel, dtype)
    errors = [deviation(p, q) for p, q in zip(parts_of(*b), parts_of(*a), strict=True)]
    # Two layers, and masks of 1/0.6, which bf16 rounds once more.
    tolerance = TOLERANCES[dtype] * (3 if dtype == torch.bfloat16 else 1)
    record_property("output", max(errors))
    assert max(errors) <= tolerance
    weights = torch.randn(T, B, H, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    (a[0] * weights).sum().backward()
    (b[0].double() * weights).sum().backward()
    errors = []
    for (name, p), q in zip(exact.named_parameters(), found.parameters(), strict=True):
        assert q.grad is not None, name
        errors.append(deviation(q.grad, p.grad))
    record_property("gradient", max(errors))
    assert max(errors) <= tolerance


@every
def test_auto_is_the_library_where_it_has_a_kernel(cell, kernel, rates, dtype, monkeypatch):
    """On the CPU the LSTM's of oneDNN, which can express all but single masks and zoneout."""
    calls = []
    library = torch._VF.lstm
    monkeypatch.setattr(torch._VF, "lstm", lambda *a: calls.append(1) or library(*a))
    stack = stack_of(cell, dtype)
    stack(inputs_of(dtype), stack.empty_state(B), (), rates, DRAWS, kernel, dtype)
    expressible = rates.temporal_kind != "zoneout" and rates.temporal_mask != "stream"
    provided = cell.cell == "lstm" and kernel == "auto" and expressible and dtype != torch.float64
    assert len(calls) == (len(SIZES) if provided and torch.backends.mkldnn.is_available() else 0)


@every
def test_training_is_dropped_and_evaluation_is_not(cell, kernel, rates, dtype):
    stack, x = stack_of(cell, dtype, rates), inputs_of(dtype)

    def run(draws, rates=rates, stack=stack):
        return stack(x, stack.empty_state(B), (), rates, draws, kernel, dtype)[0]

    plain = run(None, DropoutRates(), stack_of(cell, dtype))
    assert torch.equal(run(DRAWS), run(DRAWS))
    if rates.temporal == 0:
        assert torch.equal(run(DRAWS), plain)
        return
    assert not torch.equal(run(DRAWS), run(Draws(7, 12)))
    assert not torch.equal(run(DRAWS), plain)
    if rates.temporal_kind == "zoneout":  # the mean of what is drawn, not the undropped network
        exact = stack_of(cell, torch.float64, rates)
        mean, _ = exact(x.double(), exact.empty_state(B), kernel="reference")
        torch.testing.assert_close(run(None).double(), mean, rtol=0, atol=3 * TOLERANCES[dtype])
        assert not torch.allclose(run(None), plain, atol=1e-3)
    else:
        assert torch.equal(run(None), plain)


@every
def test_a_border_at_which_nobody_starts_afresh_is_none(cell, kernel, rates, dtype):
    """Masks, those of every single step too, go on across it."""
    stack, x = stack_of(cell, dtype, rates), inputs_of(dtype)
    state = started(stack, x, kernel, rates, dtype)
    border = [Border(2, torch.zeros(B, dtype=torch.bool))]
    whole = stack(x, state, (), rates, DRAWS, kernel, dtype)
    assert_near(stack(x, state, border, rates, DRAWS, kernel, dtype), whole, TOLERANCES[dtype])


@every
def test_a_sequence_is_its_parts_is_its_steps(cell, kernel, rates, dtype):
    """Masks are locked: the same draws give the same masks to every part."""
    stack, x = stack_of(cell, dtype, rates), inputs_of(dtype)
    draws = locked_draws(rates)
    start = started(stack, x, kernel, rates, dtype)
    whole = stack(x, start, (), rates, draws, kernel, dtype)
    for cuts in ([2, 3], [1] * T):
        state, outputs = start, []
        for part in x.split(cuts):
            y, state = stack(part, state, (), rates, draws, kernel, dtype)
            outputs.append(y)
        assert_near((torch.cat(outputs), state), whole, TOLERANCES[dtype])


@every
def test_a_border_is_an_end_and_a_new_start(cell, kernel, rates, dtype):
    """Streams 1 and 3 start afresh at step 2, stream 0 at step 0 and again at step 4."""
    stack, x = stack_of(cell, dtype, rates), inputs_of(dtype)
    draws = locked_draws(rates)
    start = started(stack, x, kernel, rates, dtype)
    borders = [
        Border(0, torch.tensor([True, False, False, False])),
        Border(2, torch.tensor([False, True, False, True])),
        Border(4, torch.tensor([True, False, False, False])),
    ]
    y, state = stack(x, start, borders, rates, draws, kernel, dtype)

    def read(begin, end, state):
        # All streams stand side by side, so that each has its own mask.
        return stack(x[begin:end], state, (), rates, draws, kernel, dtype)

    empty = stack.empty_state(B)
    wanted_y = torch.empty_like(y)
    wanted = [[torch.empty_like(part) for part in layer] for layer in state]
    pieces = {0: [(0, 4, empty), (4, T, empty)], 2: [(0, T, start)]}
    pieces |= {key: [(0, 2, start), (2, T, empty)] for key in (1, 3)}
    for stream, cuts in pieces.items():
        for begin, end, before in cuts:
            found, after = read(begin, end, before)
            wanted_y[begin:end, stream] = found[:, stream]
        for layer, parts in enumerate(after):
            for number, part in enumerate(parts):
                wanted[layer][number][stream] = part[stream]
    assert_near((y, state), (wanted_y, wanted), TOLERANCES[dtype])


@every
def test_no_gradient_crosses_a_border(cell, kernel, rates, dtype):
    stack, x = stack_of(cell, dtype), inputs_of(dtype).requires_grad_()
    border = Border(3, torch.tensor([False, True, True, False]))
    y, _ = stack(x, stack.empty_state(B), [border], rates, DRAWS, kernel, dtype)
    y[3:].float().sum().backward()
    assert not x.grad[:3, 1:3].any()
    assert x.grad[:3, [0, 3]].any(dim=2).all()


@every
def test_streams_do_not_know_each_other(cell, kernel, rates, dtype):
    stack, x = stack_of(cell, dtype, rates), inputs_of(dtype)
    draws = locked_draws(rates)
    start = started(stack, x, kernel, rates, dtype)
    y, state = stack(x, start, (), rates, draws, kernel, dtype)
    other = x.clone()
    other[:, 2] = 1 - other[:, 2]
    y_2, state_2 = stack(other, start, (), rates, draws, kernel, dtype)
    rest = [0, 1, 3]
    assert_near((y_2[:, rest], streams(state_2, rest)), (y[:, rest], streams(state, rest)), 1e-6)
    assert (y_2[:, 2] - y[:, 2]).abs().max() > 0.01


@every
def test_layers_stand_on_each_other(cell, kernel, rates, dtype):
    stack, x = stack_of(cell, dtype), inputs_of(dtype)
    y, state = stack(x, stack.empty_state(B), (), rates, DRAWS, kernel, dtype)
    below = x
    for number, layer in enumerate(stack):
        extent = Extent(T, B, len(stack.cell.state_names))
        drop = dropout.temporal(layer.weight_hh, extent, rates, DRAWS, f"temporal {number}")
        below, after = layer(below, layer.empty_state(B), drop, kernel, dtype)
        assert all(torch.equal(a, b) for a, b in zip(after, state[number], strict=True))
    assert torch.equal(below, y)


@every
def test_shapes_and_dtypes(cell, kernel, rates, dtype):
    stack = stack_of(cell, dtype)
    y, state = stack(inputs_of(dtype), stack.empty_state(B), (), rates, DRAWS, kernel, dtype)
    assert y.shape == (T, B, H) and y.dtype == dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert len(state) == len(SIZES)
    for layer, size, parts in zip(stack, SIZES, state, strict=True):
        assert [part.shape for part in parts] == [(B, size)] * len(stack.cell.state_names)
        assert {part.dtype for part in parts} == {wide}
        rows = stack.cell.gates * size
        assert layer.weight_hh.shape == (rows if stack.cell.recurrent else 0, size)
        assert layer.cell.initial_bias(size).shape == (stack.cell.gates * size,)
    assert any("bias" in name for name, _ in stack.named_parameters()) == cell.bias
    assert not list(stack.buffers()) or not (cell.bias and stack.cell.recurrent)


@pytest.mark.parametrize("cell", registry.CELLS)
def test_every_cell_has_a_name_and_a_fused_kernel(cell):
    assert make_cell(cell).name == cell
    assert cell in registry.FUSED_KERNELS
    assert cell in {kind.cell for kind in CELLS.values()}


@pytest.mark.parametrize(("name", "cell"), [("gru", Kind("gru")), ("rnn_tanh", Kind("rnn", "tanh")),
                                            ("rnn_relu", Kind("rnn", "relu"))])  # fmt: skip
def test_the_kernels_for_a_gpu_are_called_with_their_arguments_in_order(name, cell):
    """Their CPU versions take the same arguments; float64, so that a wrong one shows."""
    stack, x = stack_of(cell, torch.float64), inputs_of(torch.float64)
    layer, state = stack[0], (torch.randn(B, SIZES[0], dtype=torch.float64),)
    drop = dropout.TemporalDrop(layer.weight_hh)
    wanted = layer(x, state, drop, "reference")
    weights = (layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh)
    y, (h,) = providers._one_state(name)(x, state, *weights)
    torch.testing.assert_close(y, wanted[0], rtol=0, atol=1e-10)
    torch.testing.assert_close(h, wanted[1][0], rtol=0, atol=1e-10)
