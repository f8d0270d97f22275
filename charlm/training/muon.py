"""Muon: steps of one size in every direction of a matrix (Jordan et al. 2024).

    B <- mu B + G
    W <- W - s eta (sqrt(max(1, rows / columns)) O(G + mu B) + lambda W)

O brings all singular values near 1: from X = M / ||M||, the narrower way round, five times

    X <- a X + X (b A + c A A),    A = X^T X,    (a, b, c) = (3.4445, -4.7750, 2.0315)

("Muon: An optimizer for hidden layers in neural networks"; why it works: Bernstein & Newhouse
2024, "Old Optimizer, New Norm"). A direction that the gradient has little of moves as far as one
that it is full of. For a matrix (n, m), m <= n, that takes 5 (4 n m^2 + 2 m^3) operations.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
RATE = 4.0  # s: its rate against that of adamw beside it (scripts/LOG.md)
_ITERATIONS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """`groups`: of matrices, each with its weight_decay (lambda) and factor."""

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, RATE * group["lr"], group["weight_decay"])

    def _move(self, weight: Tensor, lr: float, decay: float) -> None:
        kept: dict[str, Tensor] = self.state[weight]
        if not kept:
            kept["momentum"] = torch.zeros_like(weight)
        assert weight.grad is not None
        kept["momentum"].mul_(MOMENTUM).add_(weight.grad)
        step = orthogonal(weight.grad + MOMENTUM * kept["momentum"])
        rows, columns = weight.shape
        weight.mul_(1 - lr * decay).sub_(step, alpha=lr * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """O(matrix); zeros stay zeros."""
    turned = matrix.shape[0] < matrix.shape[1]
    x: Tensor = matrix.T if turned else matrix
    x = x / x.norm().clamp_(min=1e-20)
    for _ in range(_ITERATIONS):
        a = x.T @ x
        x = _A * x + x @ (_B * a + _C * (a @ a))
    return x.T if turned else x
