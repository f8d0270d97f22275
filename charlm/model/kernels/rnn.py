"""The steps of the plain recurrent network (`cells.rnn`), there and back."""

from typing import cast

import torch
from torch import Tensor

from charlm.model.cells.base import State
from charlm.model.cells.rnn import RNN
from charlm.model.kernels.sequence import Kept, Steps, product

# f' by way of y = f(z).
SLOPES = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "relu": lambda y: (y > 0).to(y.dtype),
}


class RNNSteps(Steps):
    """Keeps f(z) in place of z."""

    def forward(self, t: int, before: State, after: State) -> None:
        z = self.gates[t]
        self.into(z, self.read[t], self.weight_hh)
        after[0].copy_(getattr(torch, cast(RNN, self.cell).nonlinearity + "_")(z))

    def backward(self, t: int, before: State, grads: list[Tensor]) -> tuple[Tensor, list[Kept]]:
        slope = SLOPES[cast(RNN, self.cell).nonlinearity]
        torch.mul(grads[0], slope(self.gates[t]), out=self.dz[t])
        return product(self.dz[t], self.weight_hh), [None]
