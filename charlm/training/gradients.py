"""The length of the gradient, and how it is cut."""

import math
from collections.abc import Iterable

import torch
from torch import nn


def clip(parameters: Iterable[nn.Parameter], clip_norm: float | None) -> float:
    """Scale the gradient to at most `clip_norm` in 2-norm (Pascanu et al. 2013, alg. 1).

    Returns the norm before clipping; inf or nan where the gradient is not finite (then it is
    left as it is). Sparse gradients are not counted and not cut: the steps that `row_adagrad`
    makes of them do not depend on their length.
    """
    dense = [p for p in parameters if p.grad is None or not p.grad.is_sparse]
    longest = math.inf if clip_norm is None else clip_norm
    norm = torch.nn.utils.clip_grad_norm_(dense, longest, foreach=True)
    return float(norm)
