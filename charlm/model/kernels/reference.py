"""The recurrence as the paper writes it: one step after the other, by autograd.

Slow and plain: what every other kernel is held against.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.model.cells.base import Cell, State
from charlm.model.kernels.sequence import Zone


class TorchOperations:
    """`Operations` over torch tensors; a mask, if any, multiplies whatever a product reads.

    Products run in the dtype of the weight, all else in that of the state.
    """

    sigmoid = staticmethod(torch.sigmoid)
    tanh = staticmethod(torch.tanh)
    relu = staticmethod(torch.relu)

    def __init__(self, mask: Tensor | None = None) -> None:
        self.mask = mask

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        read = x if self.mask is None else x * self.mask
        return F.linear(read.to(weight.dtype), weight).to(x.dtype)

    @staticmethod
    def split(x: Tensor, parts: int) -> tuple[Tensor, ...]:
        return x.chunk(parts, dim=-1)

    @staticmethod
    def split_rows(weight: Tensor, parts: int) -> tuple[Tensor, ...]:
        return weight.chunk(parts, dim=0)


def run(
    cell: Cell,
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    hidden_mask: Tensor | None = None,
    zone: Zone | None = None,
) -> tuple[Tensor, State]:
    """x (T, B, I) -> y (T, B, H) and the state after the last step.

    hidden_mask (B, H) or (1, H) multiplies h_{t-1} wherever a product reads it; zone (T, B, H)
    for each part of the state is the share of the old that stays (Krueger et al. 2017).
    """
    ops = TorchOperations(hidden_mask)
    wide = state[0].dtype
    outputs = []
    for t, x_t in enumerate(x):
        gates_x = F.linear(x_t, weight_ih).to(wide) + bias_ih.to(wide)  # (B, G*H)
        new = cell.step(ops, gates_x, state, weight_hh, bias_hh.to(wide))
        if zone is not None:
            new = tuple(
                stays[t] * old + (1 - stays[t]) * made
                for old, made, stays in zip(state, new, zone, strict=True)
            )
        state = new
        outputs.append(state[0].to(x.dtype))
    return torch.stack(outputs), state
