"""The LSTM over a whole sequence, with its backward pass written out.

One matrix product for all inputs before the loop; one product and one pointwise pass a
time step; the weight gradients as one product each after the loop. The gates are kept in
the dtype of the cell state, so that with bf16 inputs the products run in bf16 and
everything else in fp32.

    T time steps, B streams, I inputs, H hidden units; gate order i, f, g, o.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.cells.base import State


def run(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    hidden_mask: Tensor | None,
) -> tuple[Tensor, State]:
    """x (T, B, I) -> y (T, B, H) and the state after the last step, as `reference.run`."""
    h0, c0 = state
    y, h, c = _LSTMSequence.apply(x, h0, c0, weight_ih, weight_hh, bias_ih + bias_hh, hidden_mask)
    return y, (h, c)


class _LSTMSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h0: Tensor,
        c0: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        hidden_mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        T, B, _ = x.shape
        H = h0.shape[1]
        dtype = c0.dtype  # of state and pointwise passes; the products run in x.dtype
        # One product for all inputs.
        gates = (x.flatten(0, 1) @ weight_ih.T).to(dtype).add_(bias).view(T, B, 4 * H)
        cells = c0.new_empty(T + 1, B, H)  # c_{-1}, c_0, ..., c_{T-1}
        tanh_cells = c0.new_empty(T, B, H)
        read = x.new_empty(T, B, H)  # h_{t-1} as the recurrence reads it (masked)
        y = x.new_empty(T, B, H)
        cells[0] = c0
        weight_t = weight_hh.T
        h: Tensor = h0
        for t in range(T):
            read_t = read[t]
            if hidden_mask is None:
                read_t.copy_(h)
            else:
                torch.mul(h, hidden_mask, out=read_t)
            z = gates[t]
            if dtype == x.dtype:
                z.addmm_(read_t, weight_t)
            else:
                z += read_t @ weight_t
            z[:, : 2 * H].sigmoid_()
            z[:, 2 * H : 3 * H].tanh_()
            z[:, 3 * H :].sigmoid_()
            i, f, g, o = z.chunk(4, dim=1)
            c = torch.mul(f, cells[t], out=cells[t + 1])
            c.addcmul_(i, g)
            torch.tanh(c, out=tanh_cells[t])
            h = o * tanh_cells[t]
            y[t] = h
        ctx.save_for_backward(
            x, read, gates, cells, tanh_cells, weight_ih, weight_hh, bias, hidden_mask
        )
        return y, h.to(h0.dtype), cells[T].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_h: Tensor, grad_c: Tensor) -> tuple[Any, ...]:
        x, read, gates, cells, tanh_cells, weight_ih, weight_hh, bias, hidden_mask = (
            ctx.saved_tensors
        )
        T, B, H = tanh_cells.shape
        dtype = gates.dtype
        dh = grad_h.to(dtype, copy=True)
        dc = grad_c.to(dtype, copy=True)
        # d loss / d z_t of all steps, kept for the weight gradients
        dz_all = gates.new_empty(T, B, 4 * H)
        for t in reversed(range(T)):
            i, f, g, o = gates[t].chunk(4, dim=1)
            di, df, dg, do = dz_all[t].chunk(4, dim=1)
            tanh_c = tanh_cells[t]
            dh += grad_y[t]
            # h = o tanh(c):  do_z = dh tanh(c) o (1 - o),  dc += dh o (1 - tanh(c)^2)
            torch.mul(dh, tanh_c, out=do)
            do.mul_(o).mul_(1 - o)
            dc.addcmul_(dh * o, 1 - tanh_c * tanh_c)
            # c = f c_{t-1} + i g
            torch.mul(dc, cells[t], out=df)
            df.mul_(f).mul_(1 - f)
            torch.mul(dc, g, out=di)
            di.mul_(i).mul_(1 - i)
            torch.mul(dc, i, out=dg)
            dg.mul_(1 - g * g)
            dc.mul_(f)
            dh = (dz_all[t].to(weight_hh.dtype) @ weight_hh).to(dtype)
            if hidden_mask is not None:
                dh *= hidden_mask
        flat = dz_all.view(T * B, 4 * H)
        narrow = flat.to(x.dtype)
        dx = (narrow @ weight_ih).view_as(x)
        dw_ih = (narrow.T @ x.flatten(0, 1)).to(weight_ih.dtype)
        dw_hh = (narrow.T @ read.flatten(0, 1)).to(weight_hh.dtype)
        return dx, dh.to(grad_h.dtype), dc, dw_ih, dw_hh, flat.sum(0).to(bias.dtype), None
