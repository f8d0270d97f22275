"""Updates and the cut of the gradient, against their equations in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from charlm import registry
from charlm.precedence import Layer, build
from charlm.training import muon
from charlm.training.gradients import clip
from charlm.training.muon import RATE
from charlm.training.sizing import Facts, resolve

LR, DECAY = 0.03, 0.2


def parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = {"matrix": (4, 3), "layers.0.weight_ih": (8, 3), "bias": (5,)}
    return {
        name: nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype))
        for name, shape in shapes.items()
    }


# One weight's course by the papers' equations: w, g, decay, rate, t (from 1), what is kept.
def sgd_step(w, g, decay, eta, t, kept):
    return w - eta * (g + decay * w)


def rmsprop_step(w, g, decay, eta, t, kept):
    g = g + decay * w
    kept["v"] = 0.95 * kept.get("v", 0) + 0.05 * g**2
    return w - eta * g / (np.sqrt(kept["v"]) + 1e-8)


def _adam_direction(g, t, kept):
    kept["m"] = 0.9 * kept.get("m", 0) + 0.1 * g
    kept["v"] = 0.95 * kept.get("v", 0) + 0.05 * g**2
    return kept["m"] / (1 - 0.9**t) / (np.sqrt(kept["v"] / (1 - 0.95**t)) + 1e-8)


def adam_step(w, g, decay, eta, t, kept):
    return w - eta * _adam_direction(g + decay * w, t, kept)


def adamw_step(w, g, decay, eta, t, kept):
    return w - eta * (_adam_direction(g, t, kept) + decay * w)


def orthogonal(m):
    """Five steps of Newton and Schulz, the long way round."""
    x = m / np.linalg.norm(m)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def muon_step(w, g, decay, eta, t, kept):
    kept["b"] = 0.95 * kept.get("b", 0) + g
    step = orthogonal(g + 0.95 * kept["b"]) * np.sqrt(max(1, w.shape[0] / w.shape[1]))
    return w - RATE * eta * (step + decay * w)


REFERENCES = {
    "sgd": sgd_step,
    "nt-asgd": sgd_step,
    "rmsprop": rmsprop_step,
    "adam": adam_step,
    "adamw": adamw_step,
    "muon": adamw_step,
}
# Of some optimisers, another one for some weights.
OTHERS = {("muon", "layers.0.weight_ih"): muon_step}


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
class TestEveryOptimizer:
    def optimizer(self, name, named, decay=DECAY):
        return registry.resolve(registry.OPTIMIZERS, name)(named.items(), LR, decay)

    def test_steps_are_those_of_its_equation(self, name):
        """In float64, under a rate that a schedule moves; decay is of matrices only."""
        named = parameters(torch.float64)
        optimizer = self.optimizer(name, named)
        weights = {key: p.detach().numpy().copy() for key, p in named.items()}
        kept = {key: {} for key in named}
        rng = np.random.default_rng(1)
        for t in range(1, 7):
            eta = LR / t
            for group in optimizer.param_groups:
                group["lr"] = eta
            for key, p in named.items():
                g = rng.normal(size=p.shape)
                p.grad = torch.from_numpy(g)
                decay = DECAY if p.dim() > 1 else 0.0
                step = OTHERS.get((name, key), REFERENCES[name])
                weights[key] = step(weights[key], g, decay, eta, t, kept[key])
            optimizer.step()
            for key, p in named.items():
                np.testing.assert_allclose(p.detach().numpy(), weights[key], rtol=0, atol=1e-10)

    def test_decay_pulls_matrices_and_never_biases(self, name):
        named = parameters()
        before = {key: p.detach().clone() for key, p in named.items()}
        optimizer = self.optimizer(name, named)
        for p in named.values():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        assert torch.equal(named["bias"], before["bias"])
        pulled = before["matrix"] - named["matrix"].detach()
        assert (pulled.sign() == before["matrix"].sign()).all()

    def test_a_step_goes_downhill(self, name):
        named = parameters()
        optimizer = self.optimizer(name, named, decay=0.0)
        loss = sum((p**2).sum() for p in named.values())
        loss.backward()
        optimizer.step()
        assert sum((p**2).sum() for p in named.values()) < loss

    def test_what_it_keeps_is_tensors_of_the_parameters_shape_or_a_counter(self, name):
        """So that a checkpoint can hold it and be checked against the model."""
        named = parameters()
        optimizer = self.optimizer(name, named)
        for p in named.values():
            p.grad = torch.ones_like(p)
        optimizer.step()
        for p in named.values():
            for value in optimizer.state[p].values():
                assert isinstance(value, torch.Tensor)
                assert value.shape in (p.shape, ())

    def test_auto_has_a_rate_and_a_decay_for_it(self, name):
        config = build([Layer("options", {"optimisation.optimizer": name, "budget.steps": 100})])
        resolved, choices = resolve(config, Facts(100_000, 65, 80.0, "fp32", 1, "cpu"))
        assert resolved.optimisation.lr > 0 and resolved.regularisation.weight_decay >= 0
        reasons = {choice.key: choice.reason for choice in choices}
        assert reasons["optimisation.lr"] and reasons["regularisation.weight_decay"]


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_muon_moves_as_far_in_every_direction(shape):
    """The five iterations bring singular values from 1 down to a hundredth near 1."""
    u, _, v = np.linalg.svd(np.random.default_rng(2).normal(size=shape), full_matrices=False)
    matrix = 30 * u @ np.diag(np.geomspace(1, 0.01, min(shape))) @ v
    found = muon.orthogonal(torch.from_numpy(matrix)).numpy()
    sizes = np.linalg.svd(found, compute_uv=False)
    assert sizes.min() > 0.6 and sizes.max() < 1.3
    np.testing.assert_allclose(found, orthogonal(matrix), rtol=1e-9, atol=1e-12)
    # In the directions of the matrix itself: u^T found v is diagonal.
    turned = u.T @ found @ v.T
    np.testing.assert_allclose(turned - np.diag(np.diag(turned)), 0, atol=1e-9)
    assert not muon.orthogonal(torch.zeros(shape)).any()


@pytest.mark.parametrize(
    ("clip_norm", "factor"), [(None, 1.0), (100.0, 1.0), (6.5, 0.5), (1.0, 1 / 13)]
)
def test_the_gradient_is_cut_to_its_norm_as_one_vector(clip_norm, factor):
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 2))
    gradients = [torch.tensor([3.0, 4.0]), torch.tensor([[0.0, -12.0]])]  # of norm 13
    a.grad, b.grad = (g.clone() for g in gradients)
    assert clip([a, b], clip_norm) == pytest.approx(13)
    torch.testing.assert_close(a.grad, gradients[0] * factor, rtol=1e-5, atol=0)
    torch.testing.assert_close(b.grad, gradients[1] * factor, rtol=1e-5, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_gradient_that_is_not_finite_has_no_finite_norm(bad, clip_norm):
    p = nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([1.0, bad])
    assert not math.isfinite(clip([p], clip_norm))
