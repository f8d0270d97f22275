"""The decoder against the equations written out one unit at a time, in plain Python floats."""

import math
import subprocess
import sys

import numpy as np
import pytest

from charlm.errors import RunError
from charlm.generation import decoder as decoder_module
from charlm.generation.decoder import Decoder
from charlm.generation.numpy_ops import NumpyOperations
from charlm.model.cells.lstm import LSTM

from .models import lstm_weights

V, E, H = 7, 5, 6
ARCHITECTURES = pytest.mark.parametrize(
    ("embedding", "layers", "tied"), [(E, 1, False), (E, 3, True), (H, 2, True), (H, 2, False)]
)


def dot(row, vector):
    return math.fsum(float(a) * float(b) for a, b in zip(row, vector, strict=True))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def logits_by_hand(weights, ids):
    """The logits after each of `ids`, from zeros."""
    layers = sum(name.endswith("weight_hh") for name in weights)
    hidden = weights["layers.0.weight_hh"].shape[1]
    h = [[0.0] * hidden for _ in range(layers)]
    c = [[0.0] * hidden for _ in range(layers)]
    out = []
    for token in ids:
        x = weights["embedding.weight"][token].tolist()
        for n in range(layers):
            w_ih, w_hh, b_ih, b_hh = (
                weights[f"layers.{n}.{name}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            z = [
                dot(w_ih[g], x) + dot(w_hh[g], h[n]) + float(b_ih[g]) + float(b_hh[g])
                for g in range(4 * hidden)
            ]
            for u in range(hidden):
                i, f = sigmoid(z[u]), sigmoid(z[hidden + u])
                g, o = math.tanh(z[2 * hidden + u]), sigmoid(z[3 * hidden + u])
                c[n][u] = f * c[n][u] + i * g
                h[n][u] = o * math.tanh(c[n][u])
            x = h[n]
        if "projection.weight" in weights:
            x = [dot(row, x) for row in weights["projection.weight"]]
        matrix = weights.get("decoder.weight", weights["embedding.weight"])
        out.append([dot(matrix[v], x) + float(weights["decoder.bias"][v]) for v in range(V)])
    return np.array(out)


@ARCHITECTURES
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_against_the_equations(embedding, layers, tied, dtype, tolerance):
    weights = lstm_weights(V, embedding, H, layers, tied, dtype)
    decoder = Decoder(LSTM(), weights)
    streams = [[1, 4, 4, 0, 6, 2], [3, 3, 1, 5, 0, 6], [2, 0, 6, 1, 4, 5]]
    state = decoder.empty_state(3)
    for time, ids in enumerate(zip(*streams, strict=True)):
        logits, state = decoder.feed(ids, state)
        assert logits.shape == (3, V) and logits.dtype == dtype
        for stream, row in enumerate(logits):
            expected = logits_by_hand(weights, streams[stream][: time + 1])[-1]
            np.testing.assert_allclose(row, expected, rtol=0, atol=tolerance)


def test_a_step_changes_neither_the_state_nor_the_weights_it_was_given():
    weights = lstm_weights(V, E, H, 2, tied=True)
    copies = {name: tensor.copy() for name, tensor in weights.items()}
    decoder = Decoder(LSTM(), weights)
    state = decoder.advance([1], decoder.empty_state(1))
    before = [[part.copy() for part in layer] for layer in state]
    first = decoder.feed([2], state)[0]
    assert np.array_equal(first, decoder.feed([2], state)[0])
    assert all(
        np.array_equal(a, b)
        for x, y in zip(before, state, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert all(np.array_equal(copies[name], weights[name]) for name in weights)


def test_what_is_kept_of_the_first_layer_is_bounded_and_changes_nothing(monkeypatch):
    weights = lstm_weights(V, E, H, 1, tied=True)
    everything = Decoder(LSTM(), weights)
    monkeypatch.setattr(decoder_module, "FOLDED_FLOATS", 2 * 4 * H)
    two = Decoder(LSTM(), weights)
    ids = [0, 1, 2, 0, 1, 1, 6, 0]
    states = [everything.empty_state(1), two.empty_state(1)]
    for token in ids:
        states = [d.advance([token], s) for d, s in zip((everything, two), states, strict=True)]
        assert np.array_equal(states[0][0][1], states[1][0][1])
    assert two._first_input.cache_info().maxsize == 2
    assert everything._first_input.cache_info().misses == 4


def test_sigmoid_is_exact_to_rounding_and_never_overflows():
    x = np.concatenate([np.linspace(-30, 30, 601), [-1e30, 1e30]])
    expected = np.array([0.0 if v < -700 else sigmoid(v) for v in x])
    with np.errstate(all="raise", under="ignore"):
        for dtype, tolerance in ((np.float32, 1.2e-7), (np.float64, 2.3e-16)):
            values = x.astype(dtype)
            result = NumpyOperations.sigmoid(values)
            assert result.dtype == dtype
            assert np.array_equal(values, x.astype(dtype)), "the input was changed"
            rounding = np.abs(values.astype(np.float64) - x) / 4  # of x to dtype, slope 1/4
            rounding[np.abs(x) > 40] = 0
            assert (np.abs(result - expected) <= tolerance + rounding).all()


def changed(name, tensor):
    weights = lstm_weights(V, E, H, 2, tied=True)
    if tensor is None:
        del weights[name]
    else:
        weights[name] = tensor(weights.get(name))
    return weights


@pytest.mark.parametrize("name", lstm_weights(V, E, H, 2, tied=True))
@pytest.mark.parametrize(
    "tensor",
    [
        None,
        lambda w: w[:-1],
        lambda w: w[..., None],
        lambda w: w.astype(np.float16),
        lambda w: np.where(np.arange(w.size).reshape(w.shape) == 3, np.nan, w).astype(w.dtype),
        lambda w: np.where(np.arange(w.size).reshape(w.shape) == 3, np.inf, w).astype(w.dtype),
    ],
    ids=["missing", "shorter", "another axis", "float16", "nan", "inf"],
)
def test_a_damaged_model_is_refused(name, tensor):
    with pytest.raises(RunError) as caught:
        Decoder(LSTM(), changed(name, tensor))
    assert caught.value.hint


def test_the_damaged_tensor_is_named():
    for name, tensor in (
        ("layers.1.bias_hh", None),
        ("layers.1.weight_ih", lambda w: w[:-1]),
        ("projection.weight", lambda w: w.astype(np.float64)),
        ("decoder.bias", lambda w: w * np.inf),
        ("layers.2.weight_ih", lambda w: np.zeros((4 * H, H), np.float32)),
        ("moments", lambda w: np.zeros(3, np.float32)),
    ):
        with pytest.raises(RunError, match=name):
            Decoder(LSTM(), changed(name, tensor))


def test_generating_imports_no_torch():
    code = (
        "import sys, charlm.generation.generate, charlm.generation.decoder, "
        "charlm.model.cells.lstm; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
