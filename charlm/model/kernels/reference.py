"""The recurrence as the paper writes it: one step after the other, by autograd.

Slow and plain: what every other kernel is held against.
"""

import torch
from torch import Tensor

from charlm.model.cells.base import Cell, State


class TorchOperations:
    """`Operations` over torch tensors."""

    sigmoid = staticmethod(torch.sigmoid)
    tanh = staticmethod(torch.tanh)
    linear = staticmethod(torch.nn.functional.linear)

    @staticmethod
    def split(x: Tensor, parts: int) -> tuple[Tensor, ...]:
        return x.chunk(parts, dim=-1)


def run(
    cell: Cell,
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    hidden_mask: Tensor | None,
) -> tuple[Tensor, State]:
    """x (T, B, I) -> y (T, B, H) and the state after the last step.

    hidden_mask (B, H) or (1, H) multiplies h_{t-1} wherever the recurrence reads it.
    """
    ops = TorchOperations()
    outputs = []
    for x_t in x:
        gates_x = ops.linear(x_t, weight_ih) + bias_ih  # (B, G*H)
        h, *rest = state
        read = h if hidden_mask is None else h * hidden_mask
        h, *rest = cell.step(ops, gates_x, (read, *rest), weight_hh, bias_hh)
        state = (h.to(x.dtype), *rest)  # with bf16 products the rest of the state is fp32
        outputs.append(state[0])
    return torch.stack(outputs), state
