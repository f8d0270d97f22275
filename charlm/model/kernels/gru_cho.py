"""The steps of the GRU of Cho et al. and of the lecture (`cells.gru_cho`), there and back."""

import torch
from torch import Tensor

from charlm.model.cells.base import State
from charlm.model.kernels.sequence import Kept, Steps, product


class ChoGRUSteps(Steps):
    """Keeps the gates r, z, n (the lecture's h~) in place of their inputs, and r * h_{t-1} as
    the second product reads it."""

    buffers = 1

    def forward(self, t: int, before: State, after: State) -> None:
        gates, reset = self.gates[t], self.kept[0][t]
        H = gates.shape[1] // 3
        rz, n = gates[:, : 2 * H], gates[:, 2 * H :]
        self.into(rz, self.read[t], self.weight_hh[: 2 * H])
        rz.sigmoid_()
        torch.mul(rz[:, :H], self.read[t], out=reset)
        self.into(n, reset.to(self.read.dtype), self.weight_hh[2 * H :])
        n.tanh_()
        # h = (1 - z) h_{t-1} + z n
        torch.lerp(before[0], n, rz[:, H:], out=after[0])

    def backward(self, t: int, before: State, grads: list[Tensor]) -> tuple[Tensor, list[Kept]]:
        r, z, n = self.gates[t].chunk(3, dim=1)
        dr, dz, dn = self.dz[t].chunk(3, dim=1)
        H = n.shape[1]
        (dh,) = grads
        # h = (1 - z) h_{t-1} + z n
        torch.mul(dh, n - before[0], out=dz)
        dz.mul_(z).mul_(1 - z)
        torch.mul(dh, z, out=dn)
        dn.mul_(1 - n * n)
        # n = tanh(x + W_hn (r h))
        d_reset = product(dn, self.weight_hh[2 * H :])
        torch.mul(d_reset, self.read[t], out=dr)
        dr.mul_(r).mul_(1 - r)
        d_read = product(self.dz[t][:, : 2 * H], self.weight_hh[: 2 * H]).addcmul_(d_reset, r)
        return d_read, [dh.mul_(1 - z)]

    def hidden_gradients(self, narrow: Tensor, db: Tensor) -> tuple[Tensor, Tensor]:
        read = self.read.flatten(0, 1)
        H = read.shape[1]
        reset = self.kept[0].flatten(0, 1).to(read.dtype)
        return torch.cat([narrow[:, : 2 * H].T @ read, narrow[:, 2 * H :].T @ reset]), db
