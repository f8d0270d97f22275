"""The loss: mean cross-entropy of the next token, in nats.

A layer onto the vocabulary and its softmax are one function, which takes the places of a
window in chunks: of V logits a place, only a chunk's are ever held, and their gradient is made
while they are there. At 33,000 words and 1,000 places: 16 MiB, and not 130 several times over.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.language_model import LanguageModel
from charlm.model.legal import LegalTokens
from charlm.model.softmax import Choice, restricted

CHUNK_LOGITS = 2**22  # held at once: 16 MiB in fp32
GPU_LOGITS = 2**26  # there each chunk costs the starting of its operations, and memory is plenty
FEWEST_PLACES = 32  # of a chunk: the gradient of all weights is added up once in each


def cross_entropy(
    model: LanguageModel,
    outputs: Tensor,
    targets: Tensor,
    legal: LegalTokens,
    states: np.ndarray,
    narrowed: Callable[[Choice], Choice] | None = None,
) -> Tensor:
    """-log p(target) averaged over outputs (T, B, H), targets (T, B) and their states (T, B).

    narrowed: what is chosen out of, in place of all (`vocabulary_sample`).
    """
    choices = model.choices(outputs.flatten(0, 1), targets.flatten(), legal, states.ravel())
    if narrowed is not None:
        choices = map(narrowed, choices)
    first, *others = (_cost(choice, targets.numel()) for choice in choices)
    return sum(others, first)


def _cost(choice: Choice, places: int) -> Tensor:
    """What a choice adds to the mean over so many places."""
    x, weight, bias, targets, legal, states, _, guests = choice
    found: Tensor = _LinearCrossEntropy.apply(
        x, weight, bias, targets, legal, states, guests, places
    )
    return found


class _LinearCrossEntropy(torch.autograd.Function):
    """1/M sum over n of -log softmax(x_n W^T + b)[target_n], the softmax over what is legal.

    x (N, E) in the dtype of the products; W (K, E), b (K,), the logits and the loss in that
    of the parameters. d loss / d logits = (softmax - one-hot of the target) / M.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        legal: LegalTokens | None,
        states: np.ndarray | None,
        guests: int,
        places: int,
    ) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        N, K = len(x), len(weight)
        narrow_weight = weight.to(x.dtype)
        total = weight.new_zeros(())
        d_weight, d_bias = torch.empty(0), torch.empty(0)  # M times theirs
        if wanted and not N:
            d_weight = torch.zeros_like(weight)
        dx = torch.empty_like(x)
        rows = max(FEWEST_PLACES, (GPU_LOGITS if x.is_cuda else CHUNK_LOGITS) // K)
        for begin in range(0, N, rows):
            part = slice(begin, begin + rows)
            products = x[part] @ narrow_weight.T
            logits = restricted(products, weight, bias, legal, states, part)
            del products
            if guests:
                _send_away(logits, targets[part], guests)
            cost, d_logits = _softmax_cost(logits, targets[part].unsqueeze(1))
            total += cost
            del logits  # else they would still be there while the next chunk's are made
            if wanted:
                narrow = d_logits.to(x.dtype)
                dx[part] = narrow @ narrow_weight
                if begin:
                    d_weight += narrow.T @ x[part]
                else:
                    d_weight = (narrow.T @ x[part]).to(weight.dtype)
                if bias is not None:
                    d_bias = d_bias + d_logits.sum(0) if begin else d_logits.sum(0)
                del narrow
            del d_logits
        ctx.places, ctx.biased = places, bias is not None
        ctx.save_for_backward(dx, d_weight, d_bias)
        return total / places

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        dx, d_weight, d_bias = ctx.saved_tensors
        scale = grad / ctx.places  # never rounded to the dtype of the products
        dx = (dx.to(scale.dtype) * scale).to(dx.dtype)
        d_bias = d_bias * scale if ctx.biased else None
        return dx, d_weight.mul_(scale), d_bias, None, None, None, None, None


def _send_away(logits: Tensor, targets: Tensor, guests: int) -> None:
    """Leave of the last `guests` columns only what is a target; in place."""
    first = logits.shape[1] - guests
    rows = (targets >= first).nonzero().squeeze(1)
    kept = logits[rows, targets[rows]]
    logits[:, first:] = -torch.inf
    logits[rows, targets[rows]] = kept


def _softmax_cost(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """-log softmax(logits)[target] summed over the rows, and its gradient, softmax - one-hot.

    log sum exp(y) = y_max - log p_max, as p_max is at least 1/K: torch's softmax is many times as
    fast as its exp and logsumexp, and amax as its max.
    """
    p = torch.softmax(logits, dim=1)
    norm = logits.amax(1, keepdim=True) - p.amax(1, keepdim=True).log()
    cost = (norm - logits.gather(1, target)).sum()
    return cost, p.scatter_add_(1, target, p.new_full((1, 1), -1).expand_as(target))
