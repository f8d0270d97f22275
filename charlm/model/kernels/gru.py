"""The steps of the GRU of torch and cuDNN (`cells.gru`), there and back."""

from functools import cached_property

import torch
from torch import Tensor

from charlm.model.cells.base import State
from charlm.model.kernels.sequence import Kept, Steps

# g y (1 - y) and g (1 - y^2), in one pass each.
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


class GRUSteps(Steps):
    """Keeps the gates r, z, n in place of their inputs, and W_hn h_{t-1} + b_hn."""

    buffers = 1

    @staticmethod
    def added_bias(bias_hh: Tensor) -> Tensor:
        """b_hr and b_hz; b_hn stands inside r * (...)."""
        H = len(bias_hh) // 3
        return torch.cat([bias_hh[: 2 * H], torch.zeros_like(bias_hh[2 * H :])])

    def forward(self, t: int, before: State, after: State) -> None:
        gates, hidden = self.gates[t], self.kept[0][t]
        H = gates.shape[1] // 3
        product_h = (self.read[t] @ self.weight_hh.T).to(gates.dtype)  # (B, 3H)
        rz, n = gates[:, : 2 * H], gates[:, 2 * H :]
        rz.add_(product_h[:, : 2 * H]).sigmoid_()
        torch.add(product_h[:, 2 * H :], self.bias_hh[2 * H :], out=hidden)
        n.addcmul_(rz[:, :H], hidden).tanh_()
        # h = (1 - z) n + z h_{t-1}
        torch.lerp(n, before[0], rz[:, H:], out=after[0])

    def backward(self, t: int, before: State, grads: list[Tensor]) -> tuple[Tensor, list[Kept]]:
        r, z, n = self.gates[t].chunk(3, dim=1)
        dr, dz, dn = self.dz[t].chunk(3, dim=1)
        H = n.shape[1]
        (dh,) = grads
        # h = (1 - z) n + z h_{t-1}
        torch.mul(dh, before[0] - n, out=dz)
        sigmoid_backward(dz, z, grad_input=dz)
        kept = dh * z
        tanh_backward(dh.sub_(kept), n, grad_input=dn)
        # n = tanh(x + r hidden)
        sigmoid_backward(dn * self.kept[0][t], r, grad_input=dr)
        hidden = self.hidden_dz[t]
        hidden[:, : 2 * H] = self.dz[t][:, : 2 * H]
        hidden[:, 2 * H :] = dn * r
        return (hidden @ self.weight_hh).to(dh.dtype), [kept]

    @cached_property
    def hidden_dz(self) -> Tensor:
        """(T, B, 3H) d loss / d (W_hh h_{t-1} + b_hh), in the dtype of the products: the third
        part reaches n through r."""
        return self.read.new_empty(self.gates.shape)

    def hidden_gradients(self, narrow: Tensor, db: Tensor) -> tuple[Tensor, Tensor]:
        r, _, _ = self.gates.chunk(3, dim=2)
        _, _, dn = self.dz.chunk(3, dim=2)
        H = r.shape[2]
        db_n = (dn * r).sum((0, 1))
        dw = self.hidden_dz.flatten(0, 1).T @ self.read.flatten(0, 1)
        return dw, torch.cat([db[: 2 * H], db_n])
