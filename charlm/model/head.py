"""A classifier's head: from the pooled vectors of texts to logits of their classes."""

import math

import torch
from torch import Tensor, nn

from charlm.draws import Draws
from charlm.model.dropout import mask
from charlm.model.initialisation import fill_uniform

# Of the mean variance of a vector's units: one that is nearly the same in all texts is not blown up
# beyond a tenth of the usual spread.
_LEAST_VARIANCE = 0.01


class Head(nn.Module):
    """vectors (B, P, H) -> logits (B, C).

    x = (v - m) / s                           unit by unit
    y = W_2 relu(W_1 x + b_1) + b_2           without a hidden layer W x + b

    What is common to all texts is taken off first, as most of a pooled vector is. While it learns,
    m and s^2 are the mean and the variance over the batch's texts (Ioffe & Szegedy 2015, alg. 1,
    without its learned scale): a step of the encoder, or a dropout mask that a batch shares, moves
    all its vectors together by more than what tells them apart. Else m and s are the usual ones,
    which are measured on training texts, without dropout, once the weights are there that are to
    be measured or kept (`standardise`; the exact statistics of Wu & Johnson 2021, sec. 3): so a
    text's logits are the same whatever it is read with.
    """

    def __init__(self, parts: int, size: int, hidden: int | None, classes: int) -> None:
        super().__init__()
        self.usual_mean = _not_learned(torch.zeros(parts * size))
        self.usual_deviation = _not_learned(torch.ones(parts * size))
        self.hidden = None if hidden is None else nn.Linear(parts * size, hidden)
        self.output = nn.Linear(parts * size if hidden is None else hidden, classes)

    def draw(self, generator: torch.Generator) -> None:
        """As torch.nn does it: U(-1/sqrt(n), 1/sqrt(n)) for n inputs; biases 0."""
        self.usual_mean.zero_()
        self.usual_deviation.fill_(1.0)
        for layer in (self.hidden, self.output):
            if layer is not None:
                fill_uniform(layer.weight, 1 / math.sqrt(layer.in_features), generator)
                layer.bias.zero_()

    @torch.no_grad()
    def standardise(self, vectors: Tensor) -> None:
        """Let the usual text be that of vectors (N, P H)."""
        mean, deviation = _spread(vectors)
        self.usual_mean.copy_(mean)
        self.usual_deviation.copy_(deviation)

    def forward(self, vectors: Tensor, dropout: float, draws: Draws | None) -> Tensor:
        """While it learns draws are given, and the texts are two or more: of one alone nothing is
        left."""
        v = vectors.flatten(1)
        learning = draws is not None
        mean, deviation = _spread(v) if learning else (self.usual_mean, self.usual_deviation)
        x = _dropped((v - mean) / deviation, dropout, draws, "vector")
        if self.hidden is not None:
            x = torch.relu(self.hidden(x))
            x = _dropped(x, dropout / 4, draws, "hidden")  # .4 and .1 in Howard & Ruder
        logits: Tensor = self.output(x)
        return logits


def _spread(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """m (F,) and s (F,) of vectors (N, F): s^2 = variance + a hundredth of all units' mean one."""
    mean = vectors.mean(0)
    variance = (vectors - mean).square().mean(0)
    least = _LEAST_VARIANCE * variance.detach().mean() + 1e-12
    return mean, (variance + least).sqrt()


def _not_learned(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _dropped(x: Tensor, p: float, draws: Draws | None, place: str) -> Tensor:
    return x if draws is None or p == 0 else x * mask(tuple(x.shape), p, draws, place, x)
