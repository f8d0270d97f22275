"""Library kernels that `kernel = auto` uses where they express what is asked.

    cell   device  library  through
    lstm   CPU     oneDNN   torch._VF.lstm (fp32, bf16; float64 leaves it for our own loop)
    lstm   CUDA    cuDNN    torch._VF.lstm

Both take W_hh as an argument, so that a dropped matrix stays fused forward and backward.
A mask of its own for every stream cannot be expressed: it goes to our own kernel.
With bf16 weights oneDNN takes and returns an fp32 cell state, which autocast would round.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from charlm.model.cells.base import State

Provider = Callable[[Tensor, State, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, State]]


def _lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
) -> tuple[Tensor, State]:
    h, c = state
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    training = torch.is_grad_enabled()
    y, h, c = torch._VF.lstm(
        x,
        (h.unsqueeze(0), c.unsqueeze(0)),
        weights,
        True,  # biases
        1,  # layers
        0.0,  # its own dropout between layers: never
        training,
        False,  # one direction
        False,  # time-major
    )
    return y, (h[0], c[0])


_PROVIDERS: dict[tuple[str, str], Provider] = {("lstm", "cpu"): _lstm, ("lstm", "cuda"): _lstm}


def provider(cell: str, x: Tensor, hidden_mask: Tensor | None) -> Provider | None:
    """The library kernel for this cell on this device and dtype, or None."""
    if hidden_mask is not None or x.dtype not in (torch.float32, torch.bfloat16):
        return None
    if x.device.type == "cpu" and not torch.backends.mkldnn.is_available():
        return None
    return _PROVIDERS.get((cell, x.device.type))
