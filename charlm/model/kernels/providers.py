"""Library kernels that `kernel = auto` uses where they express what is asked.

    cell                      device  library  through
    lstm                      CPU     oneDNN   torch._VF.lstm (fp32, bf16; float64 leaves it)
    lstm                      CUDA    cuDNN    torch._VF.lstm
    gru                       CUDA    cuDNN    torch._VF.gru
    rnn with tanh or relu     CUDA    cuDNN    torch._VF.rnn_tanh, rnn_relu

All take W_hh as an argument, so that a dropped matrix stays fused forward and backward. A mask
of its own for every stream and zoneout cannot be expressed: they go to our own kernel. On the
CPU torch has no library kernel for the others: its loop over time is what ours replaces.
With bf16 weights oneDNN takes and returns an fp32 cell state, which autocast would round.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from charlm.model.cells.base import Cell, State
from charlm.model.cells.rnn import RNN

Provider = Callable[[Tensor, State, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, State]]

# Biases, one layer, no dropout of its own; and after whether it trains: one direction, time first.
_BEFORE, _AFTER = (True, 1, 0.0), (False, False)


def _lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
) -> tuple[Tensor, State]:
    h, c = state
    weights: tuple[Tensor, ...] = (weight_ih, weight_hh, bias_ih, bias_hh)
    if x.is_cuda:
        c = c.to(x.dtype)
        weights = _in_one_piece(*weights)
    y, h, c = torch._VF.lstm(
        x,
        (h.to(x.dtype).unsqueeze(0), c.unsqueeze(0)),
        weights,
        *_BEFORE,
        torch.is_grad_enabled(),
        *_AFTER,
    )
    return y, (h[0], c[0])


def _in_one_piece(*weights: Tensor) -> tuple[Tensor, ...]:
    """The same one behind the other in memory, as cuDNN wants them; else it warns, and puts them
    so itself."""
    whole = torch.cat([weight.flatten() for weight in weights])
    parts = whole.split([weight.numel() for weight in weights])
    return tuple(part.view_as(like) for part, like in zip(parts, weights, strict=True))


def _one_state(name: str) -> Provider:
    """torch._VF.gru, rnn_tanh or rnn_relu."""

    def run(
        x: Tensor,
        state: State,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> tuple[Tensor, State]:
        weights = _in_one_piece(weight_ih, weight_hh, bias_ih, bias_hh)
        h = state[0].to(x.dtype).unsqueeze(0)
        training = torch.is_grad_enabled()
        y, h = getattr(torch._VF, name)(x, h, weights, *_BEFORE, training, *_AFTER)
        return y, (h[0],)

    return run


_PROVIDERS: dict[tuple[str, str], Provider] = {
    ("lstm", "cpu"): _lstm,
    ("lstm", "cuda"): _lstm,
    ("gru", "cuda"): _one_state("gru"),
    ("rnn tanh", "cuda"): _one_state("rnn_tanh"),
    ("rnn relu", "cuda"): _one_state("rnn_relu"),
}


def provider(cell: Cell, x: Tensor, expressible: bool) -> Provider | None:
    """The library kernel for this cell on this device and dtype, or None.

    `expressible`: there is neither a mask for each stream nor zoneout.
    """
    if not expressible or x.dtype not in (torch.float32, torch.bfloat16):
        return None
    if x.device.type == "cpu" and not torch.backends.mkldnn.is_available():
        return None
    name = f"{cell.name} {cell.nonlinearity}" if isinstance(cell, RNN) else cell.name
    return _PROVIDERS.get((name, x.device.type))
