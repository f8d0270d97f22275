"""How a gradient becomes an update.

Each optimiser is a function of the named parameters and the settings; what it returns is a
torch.optim.Optimizer whose state can be saved tensor by tensor, and whose groups say by which
`factor` they learn at another rate than the others. g is the gradient, eta the
learning rate, lambda the weight decay. Coupled decay, that of all but adamw and muon, is the
gradient of an L2 penalty: g <- g + lambda w before anything else.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from charlm.training.muon import Muon
from charlm.training.row_adagrad import SideBySide

NamedParameters = Iterable[tuple[str, nn.Parameter]]
Factors = Callable[[str], float]  # of the learning rate, by the name of the weight

_FIRST_INPUTS = "layers.0.weight_ih"
# Not .999: a run of a few thousand steps must not remember its first ones.
_SQUARES_DECAY = 0.95


def all_alike(name: str) -> float:
    """Every weight at the full rate."""
    return 1.0


def _groups(named: NamedParameters, weight_decay: float, factors: Factors) -> list[dict[str, Any]]:
    """A group for each factor and decay. Decay pulls matrices towards zero, never biases."""
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        found.setdefault((factors(name), parameter.dim() > 1), []).append(parameter)
    return [
        {"params": some, "weight_decay": weight_decay if is_matrix else 0.0, "factor": factor}
        for (factor, is_matrix), some in found.items()
    ]


def sgd(
    named: NamedParameters, lr: float, weight_decay: float, factors: Factors = all_alike
) -> torch.optim.Optimizer:
    """w <- w - eta (g + lambda w): stochastic gradient descent (Robbins & Monro 1951), without
    momentum. As nt-asgd its steps are the same, and `averaging` averages the weights
    (Merity et al. 2018)."""
    return torch.optim.SGD(_groups(named, weight_decay, factors), lr=lr, fused=True)


def rmsprop(
    named: NamedParameters, lr: float, weight_decay: float, factors: Factors = all_alike
) -> torch.optim.Optimizer:
    """v <- alpha v + (1 - alpha) g^2, w <- w - eta g / (sqrt(v) + eps), with coupled decay.

    Tieleman & Hinton 2012, lecture 6.5. alpha is .95, as in Graves 2013, eq. 38 (whose mean and
    momentum are left out).
    """
    groups = _groups(named, weight_decay, factors)
    return torch.optim.RMSprop(groups, lr=lr, alpha=_SQUARES_DECAY, eps=1e-8, foreach=True)


def adam(
    named: NamedParameters, lr: float, weight_decay: float, factors: Factors = all_alike
) -> torch.optim.Optimizer:
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, and with both divided by 1 - b^t
    w <- w - eta m / (sqrt(v) + eps): Kingma & Ba 2015, alg. 1, with coupled decay."""
    groups = _groups(named, weight_decay, factors)
    return torch.optim.Adam(groups, lr=lr, betas=(0.9, _SQUARES_DECAY), eps=1e-8, fused=True)


def adamw(
    named: NamedParameters, lr: float, weight_decay: float, factors: Factors = all_alike
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay: eta lambda w is taken from w beside the step of Adam
    (Loshchilov & Hutter 2019, alg. 2)."""
    groups = _groups(named, weight_decay, factors)
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, _SQUARES_DECAY), eps=1e-8, fused=True)


def muon(
    named: NamedParameters, lr: float, weight_decay: float, factors: Factors = all_alike
) -> torch.optim.Optimizer:
    """adamw, and Muon for W_ih of the first recurrent layer, which is thin: for the others it
    would cost more than all else of a step (`training.muon`)."""
    named = list(named)
    thin = [(name, weight) for name, weight in named if name.endswith(_FIRST_INPUTS)]
    others = [(name, weight) for name, weight in named if not name.endswith(_FIRST_INPUTS)]
    beside = [Muon(_groups(thin, weight_decay, factors), lr)] if thin else []
    return SideBySide([adamw(others, lr, weight_decay, factors), *beside])
