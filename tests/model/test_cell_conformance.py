"""What holds for every cell, kernel, temporal dropout and dtype; new ones join by themselves."""

import itertools

import pytest
import torch

from charlm import registry
from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.stack import Border, RecurrentStack

T, B, E, H, LAYERS = 5, 4, 3, 6, 2
KERNELS = ("auto", "fused", "reference")
DROPOUTS = {
    "undropped": DropoutRates(),
    **{kind: DropoutRates(temporal=0.4, temporal_kind=kind) for kind in registry.TEMPORAL_DROPOUTS},
    "variational, a mask for each stream": DropoutRates(
        temporal=0.4, temporal_kind="variational", temporal_mask="stream"
    ),
}
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 1e-2}
DRAWS = Draws(7, 11)

every = pytest.mark.parametrize(
    ("cell", "kernel", "rates", "dtype"),
    [
        pytest.param(cell, kernel, rates, dtype, id=f"{cell} {kernel} {name} {str(dtype)[6:]}")
        for cell, kernel, (name, rates), dtype in itertools.product(
            registry.CELLS, KERNELS, DROPOUTS.items(), TOLERANCES
        )
    ],
)


def stack_of(cell, dtype, seed=0):
    """Two layers with every weight and bias drawn; float64 where that is asked."""
    stack = RecurrentStack(registry.resolve(registry.CELLS, cell)(), LAYERS, E, H)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in stack.parameters():
            p.normal_(0, 0.4, generator=generator)
    return stack.double() if dtype == torch.float64 else stack


def inputs_of(dtype, seed=1):
    x = torch.randn(T, B, E, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x if dtype == torch.float64 else x.bfloat16().float()


def started(stack, x, kernel, rates, dtype):
    """The state after some text, so that nothing starts from zeros."""
    _, state = stack(x.flip(0), stack.empty_state(B), (), rates, DRAWS, kernel, dtype)
    return tuple(tuple(part.detach() for part in layer) for layer in state)


def parts_of(y, state):
    return [y.double(), *(part.double() for layer in state for part in layer)]


def assert_near(found, wanted, tolerance):
    for a, b in zip(parts_of(*found), parts_of(*wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def streams(state, which):
    return tuple(tuple(part[which] for part in layer) for layer in state)


@every
def test_agrees_with_the_reference_in_float64(cell, kernel, rates, dtype):
    exact, found = stack_of(cell, torch.float64), stack_of(cell, dtype)
    with torch.no_grad():
        for p, q in zip(exact.parameters(), found.parameters(), strict=True):
            if dtype == torch.bfloat16:
                q.copy_(q.bfloat16())
            p.copy_(q)
    x = inputs_of(dtype)
    a = exact(x.double(), exact.empty_state(B), (), rates, DRAWS, "reference", torch.float64)
    b = found(x, found.empty_state(B), (), rates, DRAWS, kernel, dtype)
    # Two layers, and masks of 1/0.6, which bf16 rounds once more.
    tolerance = TOLERANCES[dtype] * (3 if dtype == torch.bfloat16 else 1)
    assert_near(b, a, tolerance)
    weights = torch.randn(T, B, H, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    (a[0] * weights).sum().backward()
    (b[0].double() * weights).sum().backward()
    for (name, p), q in zip(exact.named_parameters(), found.parameters(), strict=True):
        assert q.grad is not None, name
        limit = tolerance * max(1, float(p.grad.abs().max()))
        torch.testing.assert_close(q.grad.double(), p.grad, rtol=0, atol=limit, msg=name)


@every
def test_a_sequence_is_its_parts_is_its_steps(cell, kernel, rates, dtype):
    """Masks are locked: the same draws give the same masks to every part."""
    stack, x = stack_of(cell, dtype), inputs_of(dtype)
    start = started(stack, x, kernel, rates, dtype)
    whole = stack(x, start, (), rates, DRAWS, kernel, dtype)
    for cuts in ([2, 3], [1] * T):
        state, outputs = start, []
        for part in x.split(cuts):
            y, state = stack(part, state, (), rates, DRAWS, kernel, dtype)
            outputs.append(y)
        assert_near((torch.cat(outputs), state), whole, TOLERANCES[dtype])


@every
def test_a_border_is_an_end_and_a_new_start(cell, kernel, rates, dtype):
    """Streams 1 and 3 start afresh at step 2, stream 0 at step 0 and again at step 4."""
    stack, x = stack_of(cell, dtype), inputs_of(dtype)
    start = started(stack, x, kernel, rates, dtype)
    borders = [
        Border(0, torch.tensor([True, False, False, False])),
        Border(2, torch.tensor([False, True, False, True])),
        Border(4, torch.tensor([True, False, False, False])),
    ]
    y, state = stack(x, start, borders, rates, DRAWS, kernel, dtype)

    def read(begin, end, state):
        # All streams stand side by side, so that each has its own mask.
        return stack(x[begin:end], state, (), rates, DRAWS, kernel, dtype)

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
    stack, x = stack_of(cell, dtype), inputs_of(dtype)
    start = started(stack, x, kernel, rates, dtype)
    y, state = stack(x, start, (), rates, DRAWS, kernel, dtype)
    other = x.clone()
    other[:, 2] = 1 - other[:, 2]
    y_2, state_2 = stack(other, start, (), rates, DRAWS, kernel, dtype)
    rest = [0, 1, 3]
    assert_near((y_2[:, rest], streams(state_2, rest)), (y[:, rest], streams(state, rest)), 1e-6)
    assert (y_2[:, 2] - y[:, 2]).abs().max() > 0.01


@every
def test_layers_stand_on_each_other(cell, kernel, rates, dtype):
    stack, x = stack_of(cell, dtype), inputs_of(dtype)
    from charlm.model import dropout

    y, state = stack(x, stack.empty_state(B), (), rates, DRAWS, kernel, dtype)
    below = x
    for number, layer in enumerate(stack):
        drop = dropout.temporal(layer.weight_hh, B, rates, DRAWS, f"temporal {number}")
        below, after = layer(below, layer.empty_state(B), drop, kernel, dtype)
        assert all(torch.equal(a, b) for a, b in zip(after, state[number], strict=True))
    assert torch.equal(below, y)


@every
def test_shapes_and_dtypes(cell, kernel, rates, dtype):
    stack = stack_of(cell, dtype)
    y, state = stack(inputs_of(dtype), stack.empty_state(B), (), rates, DRAWS, kernel, dtype)
    assert y.shape == (T, B, H) and y.dtype == dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert len(state) == LAYERS
    for layer, parts in zip(stack, state, strict=True):
        assert [part.shape for part in parts] == [(B, H)] * len(stack.cell.state_names)
        assert {part.dtype for part in parts} == {wide}
        assert layer.weight_hh.shape == (stack.cell.gates * H, H)
        assert layer.cell.initial_bias(H).shape == (stack.cell.gates * H,)


@pytest.mark.parametrize("cell", registry.CELLS)
def test_every_cell_has_a_name_and_a_fused_kernel(cell):
    assert registry.resolve(registry.CELLS, cell)().name == cell
    assert cell in registry.FUSED_KERNELS
