"""Every LSTM kernel against the equations in NumPy, and against torch.nn.LSTM."""

import numpy as np
import pytest
import torch
from reference.lstm_numpy import Problem, backward, forward, problem

from charlm.model.cells.lstm import LSTM
from charlm.model.kernels import providers, reference, sequence
from charlm.model.kernels.lstm import LSTMSteps
from charlm.model.stack import RecurrentLayer

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


def run_reference(*arguments):
    return reference.run(LSTM(), *arguments)


def run_fused(*arguments):
    return sequence.run(LSTMSteps, LSTM(), *arguments)


def run_provider(x, state, *weights_and_mask):
    *weights, mask = weights_and_mask
    library = providers.provider(LSTM(), x, mask is None)
    assert library is not None
    return library(x, state, *weights)


def outputs_and_gradients(run, p, dtype=torch.float64):
    """What a kernel makes of a problem: dicts of float64 arrays like NumPy's."""
    tensors = {name: torch.tensor(getattr(p, name), dtype=dtype) for name in Problem.NAMES}
    if dtype == torch.bfloat16:
        tensors |= {name: tensors[name].float() for name in ("h0", "c0")}
    for tensor in tensors.values():
        tensor.requires_grad_()
    x, h0, c0, *weights = tensors.values()
    mask = None if p.mask is None else torch.tensor(p.mask, dtype=dtype)
    y, (h, c) = run(x, (h0, c0), *weights, mask)
    above = ((y, p.grad_y), (h, p.grad_h), (c, p.grad_c))
    loss = sum((part * torch.tensor(grad)).sum() for part, grad in above)
    loss.backward()
    outputs = {"y": y, "h": h, "c": c}
    found = {name: tensor.detach().double().numpy() for name, tensor in outputs.items()}
    return found, {name: tensor.grad.double().numpy() for name, tensor in tensors.items()}


def expected(p):
    y, h, c, tape = forward(p)
    return {"y": y, "h": h, "c": c}, backward(p, tape)


def assert_close(found, wanted, tolerance):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        limit = tolerance * max(1.0, np.abs(array).max())
        np.testing.assert_allclose(found[name], array, rtol=0, atol=limit, err_msg=name)


@pytest.mark.parametrize("mask", [None, "shared", "stream"])
def test_the_numpy_gradient_is_the_slope_of_the_numpy_loss(mask):
    p = problem(3, T=2, B=2, I=2, H=3, mask=mask)

    def loss():
        y, h, c, _ = forward(p)
        return (y * p.grad_y).sum() + (h * p.grad_h).sum() + (c * p.grad_c).sum()

    gradients = backward(p, forward(p)[3])
    for name in Problem.NAMES:
        array = getattr(p, name)
        for place in np.ndindex(array.shape):
            value, step = array[place], 1e-5
            array[place] = value + step
            above = loss()
            array[place] = value - step
            slope = (above - loss()) / (2 * step)
            array[place] = value
            assert gradients[name][place] == pytest.approx(slope, abs=1e-8), (name, place)


@pytest.mark.parametrize("mask", [None, "shared", "stream"])
@pytest.mark.parametrize("run", [run_reference, run_fused], ids=["reference", "fused"])
def test_own_kernels_are_the_equations_in_float64(run, mask):
    p = problem(1, mask=mask)
    for found, wanted in zip(outputs_and_gradients(run, p), expected(p), strict=True):
        assert_close(found, wanted, 1e-10)


@pytest.mark.parametrize(
    ("run", "dtype", "tolerance"),
    [
        pytest.param(run_provider, torch.float32, 1e-5, marks=needs_onednn),
        pytest.param(run_provider, torch.bfloat16, 1e-2, marks=needs_onednn),
        (run_fused, torch.float32, 1e-5),
        (run_fused, torch.bfloat16, 1e-2),
    ],
    ids=["provider fp32", "provider bf16", "fused fp32", "fused bf16"],
)
def test_narrow_kernels_are_the_equations_to_their_rounding(run, dtype, tolerance):
    p = problem(2)
    if dtype == torch.bfloat16:  # both sides start from numbers that bf16 can hold
        for name in Problem.NAMES:
            narrow = torch.tensor(getattr(p, name)).to(dtype)
            setattr(p, name, narrow.double().numpy())
    for found, wanted in zip(outputs_and_gradients(run, p, dtype), expected(p), strict=True):
        assert_close(found, wanted, tolerance)


@pytest.fixture
def layer():
    layer = RecurrentLayer(LSTM(), 5, 6)
    layer.initialise("orthogonal", torch.Generator().manual_seed(1), LSTM().initial_bias(6))
    return layer


@pytest.fixture
def library_calls(monkeypatch):
    """The dtypes with which the library's LSTM was really called."""
    calls = []
    library = torch._VF.lstm

    def counted(x, *rest):
        calls.append(x.dtype)
        return library(x, *rest)

    monkeypatch.setattr(torch._VF, "lstm", counted)
    return calls


def undropped(layer):
    from charlm.model.dropout import TemporalDrop

    return TemporalDrop(layer.weight_hh)


def masked(layer):
    from charlm.model.dropout import TemporalDrop

    return TemporalDrop(layer.weight_hh, torch.ones(4, 6))


@needs_onednn
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_auto_really_runs_the_librarys_kernel(layer, library_calls, precision):
    y, _ = layer(torch.randn(3, 4, 5), layer.empty_state(4), undropped(layer), "auto", precision)
    assert library_calls == [precision]
    assert y.dtype == precision
    if precision == torch.float32:  # bf16 needs a processor that has it
        assert "Mkldnn" in type(y.grad_fn).__name__


@pytest.mark.parametrize(
    ("kernel", "drop", "wide"),
    [
        ("fused", undropped, False),
        ("reference", undropped, False),
        ("auto", masked, False),
        ("auto", undropped, True),
    ],
    ids=["fused", "reference", "mask for each stream", "float64"],
)
def test_what_the_library_cannot_express_stays_with_our_kernels(
    layer, library_calls, kernel, drop, wide
):
    if wide:
        layer.double()
    x = torch.randn(3, 4, 5, dtype=layer.weight_ih.dtype)
    layer(x, layer.empty_state(4), drop(layer), kernel)
    assert library_calls == []


@pytest.mark.parametrize("kernel", ["auto", "fused", "reference"])
def test_states_keep_the_parameters_dtype_whatever_the_products(layer, kernel):
    """A carried state in bf16 can neither be saved nor compared with an empty one."""
    x = torch.randn(3, 4, 5)
    y, state = layer(x, layer.empty_state(4), undropped(layer), kernel, torch.bfloat16)
    assert y.dtype == torch.bfloat16
    assert [part.dtype for part in state] == [torch.float32, torch.float32]
    assert torch.equal(state[0].bfloat16(), y[-1])
    cell = state[1]
    assert not torch.equal(cell, cell.bfloat16().float()), "the cell state was rounded"
