"""The steps of the GRU of torch and cuDNN (`cells.gru`), there and back."""

import torch
from torch import Tensor

from charlm.model.cells.base import State
from charlm.model.kernels.sequence import Kept, Steps, product


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
        (dh,) = grads
        # h = (1 - z) n + z h_{t-1}
        torch.mul(dh, before[0] - n, out=dz)
        dz.mul_(z).mul_(1 - z)
        torch.mul(dh, 1 - z, out=dn)
        dn.mul_(1 - n * n)
        # n = tanh(x + r hidden)
        torch.mul(dn, self.kept[0][t], out=dr)
        dr.mul_(r).mul_(1 - r)
        return product(self._hidden_dz(self.dz[t], r), self.weight_hh), [dh.mul_(z)]

    def hidden_gradients(self) -> tuple[Tensor, Tensor]:
        H = self.gates.shape[2] // 3
        flat = self._hidden_dz(self.dz, self.gates[..., :H]).flatten(0, 1)
        return product(flat.T, self.read.flatten(0, 1)), flat.sum(0)

    @staticmethod
    def _hidden_dz(dz: Tensor, r: Tensor) -> Tensor:
        """d loss / d (W_hh h_{t-1} + b_hh): the third part reaches n through r."""
        H = r.shape[-1]
        return torch.cat([dz[..., : 2 * H], dz[..., 2 * H :] * r], dim=-1)
