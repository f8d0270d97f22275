"""How the weights of a recurrent layer start."""

import math
from typing import Protocol

import torch
from torch import Tensor


class Initialisation(Protocol):
    """Fills W_hh (G*H, H) in place."""

    def __call__(self, weight_hh: Tensor, generator: torch.Generator) -> None: ...


def fill_uniform(tensor: Tensor, bound: float, generator: torch.Generator) -> None:
    """U(-bound, bound), in place."""
    with torch.no_grad():
        tensor.uniform_(-bound, bound, generator=generator)


def default(weight_hh: Tensor, generator: torch.Generator) -> None:
    """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn does it."""
    fill_uniform(weight_hh, 1 / math.sqrt(weight_hh.shape[1]), generator)


def uniform(weight_hh: Tensor, generator: torch.Generator) -> None:
    """U(-0.1, 0.1) whatever the size (Zaremba et al. 2014, sec. 4.1, the small network)."""
    fill_uniform(weight_hh, 0.1, generator)


def identity(weight_hh: Tensor, generator: torch.Generator) -> None:
    """The identity for each gate (Le, Jaitly & Hinton 2015, for relu: the IRNN).

    Without input the state then stays as it is, and so does the gradient on its way back.
    """
    with torch.no_grad():
        for gate in weight_hh.split(weight_hh.shape[1]):
            torch.nn.init.eye_(gate)


def orthogonal(weight_hh: Tensor, generator: torch.Generator) -> None:
    """An orthogonal matrix for each gate (Saxe et al. 2014): no direction grows or shrinks."""
    hidden = weight_hh.shape[1]
    with torch.no_grad():
        for gate in weight_hh.split(hidden):
            torch.nn.init.orthogonal_(gate, generator=generator)


def xavier_uniform(weight_ih: Tensor, generator: torch.Generator) -> None:
    """U(-b, b), b = sqrt(6 / (fan in + fan out)) over the stacked gates (Glorot & Bengio 2010)."""
    with torch.no_grad():
        torch.nn.init.xavier_uniform_(weight_ih, generator=generator)


def window_uniform(weight_ih: Tensor, places: int, generator: torch.Generator) -> None:
    """The same where weight_ih (N*H, I) stacks the weights of N places that are summed: N*I go in,
    H come out."""
    whole = weight_ih.new_empty(weight_ih.shape[0] // places, places * weight_ih.shape[1])
    xavier_uniform(whole, generator)
    with torch.no_grad():
        weight_ih.copy_(torch.cat(whole.chunk(places, dim=1)))
