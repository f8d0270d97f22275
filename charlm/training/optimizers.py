"""How a gradient becomes an update.

Each optimiser is a function of the named parameters and the settings; what it returns is a
torch.optim.Optimizer whose state can be saved tensor by tensor.
"""

from collections.abc import Iterable

import torch
from torch import nn

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def _decayed(named: NamedParameters, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay pulls matrices towards zero, never biases."""
    parameters = [parameter for _, parameter in named]
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def adamw(named: NamedParameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, alg. 2).

    beta_2 is .95, not .999: a run of a few thousand steps must not remember its first ones.
    """
    groups = _decayed(named, weight_decay)
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-8, fused=True)
