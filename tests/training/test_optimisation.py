"""Updates and the cut of the gradient, against their equations in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from charlm import registry
from charlm.training.gradients import clip
from charlm.training.optimizers import adamw

LR, DECAY = 0.03, 0.2


def parameters():
    generator = torch.Generator().manual_seed(0)
    shapes = {"matrix": (4, 3), "bias": (5,)}
    return {
        name: nn.Parameter(torch.randn(shape, generator=generator))
        for name, shape in shapes.items()
    }


def test_adamw_is_algorithm_2_of_loshchilov_and_hutter():
    named = parameters()
    optimizer = adamw(named.items(), LR, DECAY)
    beta_1, beta_2 = optimizer.defaults["betas"]
    eps = optimizer.defaults["eps"]
    assert 0.8 <= beta_1 < 1 and 0.9 <= beta_2 < 1 and eps <= 1e-6
    theta = {name: p.detach().double().numpy().copy() for name, p in named.items()}
    m = {name: np.zeros_like(value) for name, value in theta.items()}
    v = {name: np.zeros_like(value) for name, value in theta.items()}
    rng = np.random.default_rng(1)
    for t in range(1, 6):
        lr = LR / t  # a schedule moves it
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, p in named.items():
            g = rng.normal(size=p.shape).astype(np.float32)
            p.grad = torch.from_numpy(g)
            g = g.astype(np.float64)
            m[name] = beta_1 * m[name] + (1 - beta_1) * g
            v[name] = beta_2 * v[name] + (1 - beta_2) * g * g
            m_hat, v_hat = m[name] / (1 - beta_1**t), v[name] / (1 - beta_2**t)
            decay = DECAY if name == "matrix" else 0  # decoupled, and of matrices only
            theta[name] -= lr * (m_hat / (np.sqrt(v_hat) + eps) + decay * theta[name])
        optimizer.step()
        for name, p in named.items():
            np.testing.assert_allclose(p.detach().numpy(), theta[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
class TestEveryOptimizer:
    def optimizer(self, name, named, decay=DECAY):
        return registry.resolve(registry.OPTIMIZERS, name)(named.items(), LR, decay)

    def test_decay_pulls_matrices_and_never_biases(self, name):
        named = parameters()
        before = {key: p.detach().clone() for key, p in named.items()}
        optimizer = self.optimizer(name, named)
        for p in named.values():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        assert torch.equal(named["bias"], before["bias"])
        torch.testing.assert_close(named["matrix"], before["matrix"] * (1 - LR * DECAY))

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
