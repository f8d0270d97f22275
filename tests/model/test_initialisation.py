"""How weights start."""

import math

import numpy as np
import pytest
import torch

from charlm import registry
from charlm.draws import Draws
from charlm.model.initialisation import xavier_uniform
from charlm.model.language_model import Architecture, LanguageModel

H, E, V = 48, 40, 30


def model_of(seed=3, init="orthogonal", tie=False):
    return LanguageModel(Architecture(V, "lstm", 2, H, E, tie)).initialise(init, Draws(seed, 0))


def weights_of(model):
    return {name: p.detach() for name, p in model.named_parameters()}


def test_each_gate_is_an_orthogonal_matrix_of_its_own():
    for layer in model_of().layers:
        gates = layer.weight_hh.detach().double().split(H)
        assert len(gates) == 4
        for gate in gates:
            torch.testing.assert_close(gate.T @ gate, torch.eye(H).double(), atol=1e-5, rtol=0)
        assert not any(torch.allclose(gates[0], gate) for gate in gates[1:])


def test_default_is_torchs_uniform():
    for layer in model_of(init="default").layers:
        bound = 1 / math.sqrt(H)
        largest = float(layer.weight_hh.detach().abs().max())
        assert 0.99 * bound < largest <= bound
        assert float(layer.weight_hh.detach().std()) == pytest.approx(
            bound / math.sqrt(3), rel=0.05
        )


def test_uniform_is_the_same_whatever_the_size():
    for layer in model_of(init="uniform").layers:
        weight = layer.weight_hh.detach()
        assert 0.099 < float(weight.abs().max()) <= 0.1
        assert float(weight.std()) == pytest.approx(0.1 / math.sqrt(3), rel=0.05)


def test_identity_is_one_for_each_gate():
    for layer in model_of(init="identity").layers:
        for gate in layer.weight_hh.detach().split(H):
            assert torch.equal(gate, torch.eye(H))


def test_the_forget_bias_is_what_was_asked_and_only_where_there_are_biases():
    model = LanguageModel(Architecture(V, "lstm", 2, H, E, False))
    model.initialise("orthogonal", Draws(1, 0), forget_bias=-2.5)
    for layer in model.layers:
        assert layer.bias_ih.detach()[H : 2 * H].tolist() == [-2.5] * H
    without = LanguageModel(Architecture(V, "lstm", 2, H, E, False, bias=False))
    without.initialise("orthogonal", Draws(1, 0))
    assert not any("bias_" in name for name, _ in without.named_parameters())
    assert not any(layer.bias_ih.any() for layer in without.layers)


def test_input_weights_are_glorots():
    w = torch.empty(4 * H, E)
    xavier_uniform(w, torch.Generator().manual_seed(1))
    bound = math.sqrt(6 / (4 * H + E))
    assert 0.99 * bound < float(w.abs().max()) <= bound
    for number, layer in enumerate(model_of().layers):
        bound = math.sqrt(6 / (4 * H + (H if number else E)))
        assert 0.99 * bound < float(layer.weight_ih.detach().abs().max()) <= bound


def test_only_the_forget_gate_starts_biased():
    for layer in model_of().layers:
        wanted = np.zeros(4 * H, np.float32)
        wanted[H : 2 * H] = 1  # gate order i, f, g, o
        np.testing.assert_array_equal(layer.bias_ih.detach().numpy(), wanted)
        assert not layer.bias_hh.any()


def test_the_decoder_starts_at_three_times_the_usual_spread_and_without_bias():
    model = model_of()
    assert not model.decoder.bias.any()
    bound = 3 / math.sqrt(H)
    assert 0.99 * bound < float(model.decoder.weight.detach().abs().max()) <= bound


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("init", registry.INITIALISATIONS)
def test_weights_follow_the_seed_alone(init, tie):
    first = weights_of(model_of(3, init, tie))
    torch.manual_seed(99)
    torch.rand(5)
    again, other = weights_of(model_of(3, init, tie)), weights_of(model_of(4, init, tie))
    for name, weight in first.items():
        assert torch.equal(weight, again[name]), name
        assert torch.isfinite(weight).all()
        if "bias" not in name and not (init == "identity" and "weight_hh" in name):
            assert not torch.equal(weight, other[name]), name


def test_initialisations_differ_in_the_recurrent_weights_only():
    one, two = weights_of(model_of(init="default")), weights_of(model_of(init="orthogonal"))
    assert not torch.equal(one["layers.0.weight_hh"], two["layers.0.weight_hh"])
    assert torch.equal(one["embedding.weight"], two["embedding.weight"])
    assert torch.equal(one["layers.0.weight_ih"], two["layers.0.weight_ih"])


def test_the_decoder_of_a_plain_network_starts_as_usual():
    model = Architecture(30, "rnn", 1, 48, 40, False).build().initialise("default", Draws(1, 0))
    bound = 1 / math.sqrt(48)
    assert 0.99 * bound < float(model.decoder.weight.detach().abs().max()) <= bound


@pytest.mark.parametrize(("vocabulary", "spread"), [(30, 1), (1000, 3)])
def test_the_projection_to_tied_vectors_starts_as_they_need_it(vocabulary, spread):
    """Vectors of N(0, 1), or of N(0, 0.1) where there are many."""
    model = Architecture(vocabulary, "lstm", 1, 48, 40, True).build()
    model.initialise("orthogonal", Draws(1, 0))
    bound = spread / math.sqrt(48)
    assert 0.99 * bound < float(model.projection.weight.detach().abs().max()) <= bound
    deviation = float(model.embedding.weight.detach().std())
    assert deviation == pytest.approx(1.0 if spread == 1 else 0.1, rel=0.1)
