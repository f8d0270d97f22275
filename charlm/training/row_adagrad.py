"""Adagrad for tables of which a step reads few rows: one sum of squares a row.

For each row r that has a gradient g_r (of the sum over tokens, not their mean)

    s_r <- s_r + mean(g_r^2),   w_r <- w_r - eta g_r / sqrt(s_r)

(Duchi, Hazan & Singer 2011, with one rate for a whole row). A row that is rarely read has as
large a step when it comes as a frequent one had in the beginning, whatever the others do; rows
without a gradient are not touched, so that a step costs what it reads and not the table.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn


class RowAdagrad(torch.optim.Optimizer):
    """`tables`: matrices (R, E) whose gradients are sparse, or dense; `factor`: of the learning
    rate of all (`step.update`)."""

    def __init__(self, tables: Iterable[nn.Parameter], factor: float) -> None:
        super().__init__(list(tables), {"lr": factor, "factor": factor})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the rows that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, group["lr"])

    def _move(self, table: nn.Parameter, lr: float) -> None:
        kept: dict[str, Tensor] = self.state[table]
        if not kept:
            kept["squares"] = table.new_zeros(len(table))
        gradient = cast(Tensor, table.grad)
        if not gradient.is_sparse:
            gradient = gradient.to_sparse(1)
        gradient = gradient.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        squares = kept["squares"]
        squares.index_add_(0, rows, values.square().mean(dim=1))
        step = values / squares[rows].sqrt().clamp_(min=1e-20).unsqueeze(1)
        table.index_add_(0, rows, step, alpha=-lr)


class SideBySide(torch.optim.Optimizer):
    """Several optimisers, each with parameters of its own, as one: they share what is kept."""

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        self.optimizers: list[torch.optim.Optimizer] = [
            one
            for optimizer in optimizers
            for one in (optimizer.optimizers if isinstance(optimizer, SideBySide) else [optimizer])
        ]
        self.param_groups = [g for optimizer in self.optimizers for g in optimizer.param_groups]
        self.state = self.optimizers[0].state
        for optimizer in self.optimizers[1:]:
            optimizer.state = self.state

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for optimizer in self.optimizers:
            optimizer.step()
