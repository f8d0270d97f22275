"""The lecture's chain, dL_2/dW_hh^0 as a product of eight factors, against autograd, one by one.

    z_t = W_hh h_{t-1} + W_xh x_t    h_t = sigmoid(z_t)    y_t = W_hy h_t

Each use of W_hh is a matrix of its own here, as the lecture's superscript has it.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from charlm.model.cells.base import make_cell
from charlm.model.kernels.reference import TorchOperations

H, E, V = 6, 5, 4


@pytest.fixture
def network():
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {"hh": draw(H, H), "xh": draw(H, E), "hy": draw(V, H), "x": draw(3, E), "h": draw(H)}


def forward(n):
    """By charlm's own cell; every value of the chain, kept for its gradient."""
    cell, kept = make_cell("rnn", nonlinearity="sigmoid"), {}
    h = n["h"][None]
    for t in range(3):
        kept[f"W{t}"] = n["hh"].clone().requires_grad_()

        class Noting(TorchOperations):
            def sigmoid(self, x, t=t):
                kept[f"z{t}"] = x
                return torch.sigmoid(x)

        gates_x = F.linear(n["x"][t : t + 1], n["xh"])
        (h,) = cell.step(Noting(), gates_x, (h,), kept[f"W{t}"])
        kept[f"h{t}"] = h
    kept["y2"] = F.linear(h, n["hy"])
    kept["L2"] = F.cross_entropy(kept["y2"], torch.tensor([1]))
    return kept


def jacobian(of, to):
    """d of / d to by autograd, a row for each number of `of`."""
    rows = [torch.autograd.grad(one, to, retain_graph=True)[0].flatten() for one in of.flatten()]
    return torch.stack(rows).numpy()


def by_hand(n):
    """The eight factors from the equations, in NumPy, in the lecture's order."""
    w_hh, w_xh, w_hy, x, start = (n[k].numpy() for k in ("hh", "xh", "hy", "x", "h"))
    h, states = start, []
    for t in range(3):
        h = 1 / (1 + np.exp(-(w_hh @ h + w_xh @ x[t])))
        states.append(h)
    y = w_hy @ h
    p = np.exp(y) / np.exp(y).sum()
    slopes = [np.diag(h * (1 - h)) for h in states]  # sigmoid' = h (1 - h)
    return {
        ("L2", "y2"): (p - np.eye(V)[1])[None],
        ("y2", "h2"): w_hy,
        ("h2", "z2"): slopes[2],
        ("z2", "h1"): w_hh,
        ("h1", "z1"): slopes[1],
        ("z1", "h0"): w_hh,
        ("h0", "z0"): slopes[0],
        ("z0", "W0"): np.kron(np.eye(H), start),  # dz_i / dW_jk = [i = j] h_k
    }


def test_every_factor_is_what_autograd_finds(network):
    kept = forward(network)
    for (of, to), factor in by_hand(network).items():
        found = jacobian(kept[of], kept[to])
        assert found == pytest.approx(factor, abs=1e-12), f"d{of}/d{to}"


def test_their_product_is_the_gradient_of_the_first_use_of_the_weights(network):
    kept = forward(network)
    product = np.eye(1)
    for factor in by_hand(network).values():
        product = product @ factor
    (wanted,) = torch.autograd.grad(kept["L2"], kept["W0"], retain_graph=True)
    assert product.reshape(H, H) == pytest.approx(wanted.numpy(), abs=1e-12)
    # Sigmoid's slope is at most a quarter: two steps back, at most a sixteenth times W_hh^2.
    norms = [
        torch.autograd.grad(kept["L2"], kept[f"h{t}"], retain_graph=True)[0].norm()
        for t in (2, 1, 0)
    ]
    largest = torch.linalg.matrix_norm(network["hh"], 2)
    assert norms[2] <= norms[0] * (largest / 4) ** 2
