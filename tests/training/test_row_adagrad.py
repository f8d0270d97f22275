"""Adagrad by rows against its equation, a row at a time; several optimisers as one."""

import numpy as np
import torch
from torch import nn

from charlm.training.row_adagrad import RowAdagrad, SideBySide

R, E = 6, 4


def sparse(rows: list[int], values: torch.Tensor) -> torch.Tensor:
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, (R, E))


def test_steps_are_those_of_the_equation() -> None:
    table = nn.Parameter(torch.zeros(R, E))
    optimizer = RowAdagrad([table], factor=0.3)
    generator = torch.Generator().manual_seed(1)
    weights, squares = np.zeros((R, E)), np.zeros(R)
    for rows in ([0, 2, 2], [2, 5], [0]):
        values = torch.randn(len(rows), E, generator=generator)
        table.grad = sparse(rows, values)
        optimizer.step()
        gradient = np.zeros((R, E))
        np.add.at(gradient, rows, values.numpy())
        for r in set(rows):
            squares[r] += (gradient[r] ** 2).mean()
            weights[r] -= 0.3 * gradient[r] / np.sqrt(squares[r])
    np.testing.assert_allclose(table.detach().numpy(), weights, rtol=1e-5)
    assert not table[1].any() and not table[3].any() and not table[4].any()


def test_the_size_of_the_loss_does_not_matter() -> None:
    tables = [nn.Parameter(torch.ones(R, E)) for _ in range(2)]
    values = torch.randn(2, E, generator=torch.Generator().manual_seed(2))
    for table, size in zip(tables, (1.0, 1e-6), strict=True):
        optimizer = RowAdagrad([table], factor=0.1)
        for _ in range(3):
            table.grad = sparse([1, 4], values * size)
            optimizer.step()
    torch.testing.assert_close(*tables)


def test_a_row_without_gradient_stays_finite() -> None:
    table = nn.Parameter(torch.ones(R, E))
    optimizer = RowAdagrad([table], factor=0.1)
    table.grad = sparse([3], torch.zeros(1, E))
    optimizer.step()
    assert torch.equal(table, torch.ones(R, E))


def test_side_by_side_is_each_alone() -> None:
    def parts() -> tuple[nn.Parameter, nn.Parameter, torch.optim.Optimizer, RowAdagrad]:
        matrix, table = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(R, E))
        return matrix, table, torch.optim.AdamW([matrix], lr=0.1), RowAdagrad([table], factor=0.2)

    matrix, table, adamw, rows = parts()
    together = SideBySide([adamw, rows])
    alone = parts()
    for _ in range(2):
        for m, t in ((matrix, table), alone[:2]):
            m.grad = torch.arange(6.0).view(3, 2)
            t.grad = sparse([2, 3], torch.ones(2, E))
        together.step()
        alone[2].step()
        alone[3].step()
    assert torch.equal(matrix, alone[0]) and torch.equal(table, alone[1])
    assert set(together.state) == {matrix, table}
    together.zero_grad()
    assert matrix.grad is None and table.grad is None
