"""The steps of networks without recurrence (`cells.window`), there and back."""

from typing import cast

import torch
from torch import Tensor

from charlm.model.cells.base import State
from charlm.model.cells.window import Window
from charlm.model.kernels.rnn import SLOPES
from charlm.model.kernels.sequence import Kept, Steps


class WindowSteps(Steps):
    """Keeps f(z) in place of W_0 x + b_0; no product reads the state."""

    def forward(self, t: int, before: State, after: State) -> None:
        H = after[0].shape[1]
        gates = self.gates[t]
        z, sums = gates[:, :H], after[1:]
        for j, s in enumerate(sums, 1):
            s.copy_(gates[:, j * H : (j + 1) * H])
        for s, earlier in zip((z, *sums), before[1:], strict=False):
            s.add_(earlier)
        after[0].copy_(getattr(torch, cast(Window, self.cell).nonlinearity + "_")(z))

    def backward(self, t: int, before: State, grads: list[Tensor]) -> tuple[Tensor, list[Kept]]:
        H = grads[0].shape[1]
        dz = self.dz[t]
        slope = SLOPES[cast(Window, self.cell).nonlinearity](self.gates[t, :, :H])
        torch.mul(grads[0], slope, out=dz[:, :H])
        for j, grad in enumerate(grads[1:], 1):
            dz[:, j * H : (j + 1) * H] = grad
        # Each sum goes on into the next nearer one, the nearest into z.
        moved: list[Kept] = [None, *dz.split(H, dim=1)[:-1]]
        return torch.zeros_like(grads[0]), moved

    def hidden_gradients(self, narrow: Tensor, db: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(self.weight_hh), db
