"""Whether the kernels compute on this machine what the equations say."""

from dataclasses import dataclass

import torch
from torch import Tensor

from charlm import registry
from charlm.model.cells.base import make_cell
from charlm.model.stack import RecurrentStack

_STEPS, _STREAMS, _INPUTS, _SIZES = 7, 3, 5, (16, 24)
# Of outputs, states and gradients as a share of their largest entry: rounding, and no more.
TOLERANCES = {"fp32": 1e-4, "bf16": 6e-2}
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class KernelCheck:
    """How far two layers of a cell are from the reference step in float64."""

    cell: str
    kernel: str
    precision: str
    deviation: float

    @property
    def right(self) -> bool:
        return self.deviation <= TOLERANCES[self.precision]


def check_kernels() -> list[KernelCheck]:
    """Every cell by our fused kernel and by what `auto` takes, in each precision."""
    return [
        KernelCheck(cell, kernel, precision, _deviation(cell, kernel, precision))
        for cell in registry.CELLS
        for kernel in ("fused", "auto")
        for precision in TOLERANCES
    ]


def _deviation(cell: str, kernel: str, precision: str) -> float:
    stack = RecurrentStack(make_cell(cell), _INPUTS, _SIZES)
    generator = torch.Generator().manual_seed(1)
    # Numbers that bf16 holds exactly: what differs is the computing.
    x = torch.randn(_STEPS, _STREAMS, _INPUTS, generator=generator).bfloat16().float()
    with torch.no_grad():
        for weight in stack.parameters():
            weight.copy_((weight.normal_(0, 0.3, generator=generator)).bfloat16())
    found = _there_and_back(stack, x, kernel, _DTYPES[precision])
    wanted = _there_and_back(stack.double(), x.double(), "reference", torch.float64)
    return max(
        float((a.double() - b).abs().max() / b.abs().max().clamp(min=1e-6))
        for a, b in zip(found, wanted, strict=True)
    )


def _there_and_back(
    stack: RecurrentStack, x: Tensor, kernel: str, dtype: torch.dtype
) -> list[Tensor]:
    """Outputs, last states and the gradients of all weights."""
    y, state = stack(x, stack.empty_state(_STREAMS), (), kernel=kernel, precision=dtype)
    stack.zero_grad()
    y.double().square().sum().backward()
    gradients = [weight.grad.clone() for weight in stack.parameters() if weight.grad is not None]
    return [part.detach() for part in (y, *(p for layer in state for p in layer))] + gradients
