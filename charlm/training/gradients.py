"""The length of the gradient, and how it is cut."""

import math
from collections.abc import Iterable

import torch
from torch import nn


def clip(parameters: Iterable[nn.Parameter], clip_norm: float | None) -> float:
    """Scale the gradient to at most `clip_norm` in 2-norm (Pascanu et al. 2013, alg. 1).

    Returns the norm before clipping; inf or nan where the gradient is not finite (then it is
    left as it is).
    """
    norm = torch.nn.utils.clip_grad_norm_(
        parameters, math.inf if clip_norm is None else clip_norm, foreach=True
    )
    return float(norm)
