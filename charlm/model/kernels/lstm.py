"""The steps of the LSTM (`cells.lstm`), there and back."""

import torch
from torch import Tensor

from charlm.model.cells.base import State
from charlm.model.kernels.sequence import Kept, Steps, product


class LSTMSteps(Steps):
    """Keeps the gates i, f, g, o in place of their inputs, and tanh(c~), c~ = f c_{t-1} + i g."""

    buffers = 1

    def forward(self, t: int, before: State, after: State) -> None:
        z, (tanh_cells,) = self.gates[t], self.kept
        H = z.shape[1] // 4
        self.into(z, self.read[t], self.weight_hh)
        z[:, : 2 * H].sigmoid_()
        z[:, 2 * H : 3 * H].tanh_()
        z[:, 3 * H :].sigmoid_()
        i, f, g, o = z.chunk(4, dim=1)
        h, c = after
        torch.mul(f, before[1], out=c)
        c.addcmul_(i, g)
        torch.tanh(c, out=tanh_cells[t])
        torch.mul(o, tanh_cells[t], out=h)

    def backward(self, t: int, before: State, grads: list[Tensor]) -> tuple[Tensor, list[Kept]]:
        i, f, g, o = self.gates[t].chunk(4, dim=1)
        di, df, dg, do = self.dz[t].chunk(4, dim=1)
        tanh_c = self.kept[0][t]
        dh, dc = grads
        # h = o tanh(c):  do_z = dh tanh(c) o (1 - o),  dc += dh o (1 - tanh(c)^2)
        torch.mul(dh, tanh_c, out=do)
        do.mul_(o).mul_(1 - o)
        dc.addcmul_(dh * o, 1 - tanh_c * tanh_c)
        # c = f c_{t-1} + i g
        torch.mul(dc, before[1], out=df)
        df.mul_(f).mul_(1 - f)
        torch.mul(dc, g, out=di)
        di.mul_(i).mul_(1 - i)
        torch.mul(dc, i, out=dg)
        dg.mul_(1 - g * g)
        return product(self.dz[t], self.weight_hh), [None, dc.mul_(f)]
