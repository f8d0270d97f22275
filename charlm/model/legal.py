"""The softmax over what may stand at a place.

A vocabulary holds tokens that cannot come next: the bytes of spelled characters outside of
a spelled one, a character inside it. They are left out of the softmax, in training too:
p(v | state s) = exp(y_v) / sum over legal u of exp(y_u). Left in, the work of pushing some
hundred of them down slows learning (measured at 256 byte tokens beside 65 characters: 1.92
nats per character after 800 steps, against 1.82 without them).
"""

import copy

import numpy as np
import torch
from torch import Tensor


class LegalTokens:
    """Which of V tokens are legal in each of S states: legal (S, V)."""

    def __init__(self, legal: np.ndarray, device: torch.device) -> None:
        forbidden = torch.from_numpy(~legal).to(device)
        self._penalty = torch.zeros(legal.shape, device=device).masked_fill_(forbidden, -torch.inf)

    def of(self, tokens: Tensor) -> "LegalTokens":
        """The same of K things, each of which is legal where its token of `tokens` (K,) is."""
        some = copy.copy(self)
        some._penalty = self._penalty[:, tokens]
        return some

    def logits(self, products: Tensor, bias: Tensor, states: np.ndarray) -> Tensor:
        """products (N, V) + bias (V,) in the dtype of the bias, restricted; `products` may be
        overwritten."""
        penalty = self._penalty.to(bias.dtype)
        spelling = torch.from_numpy(np.flatnonzero(states)).to(products.device)
        rows = torch.from_numpy(states[states != 0].astype(np.int64)).to(products.device)
        restricted = products[spelling].to(bias.dtype) + bias + penalty[rows]
        # One pass: what is added to the bias is 0 or -inf, so that nothing is rounded otherwise.
        added = bias + penalty[0]
        # Converted first: torch adds numbers of two kinds ten times as slowly.
        logits = products.to(bias.dtype).add_(added)
        return logits.index_copy_(0, spelling, restricted) if len(spelling) else logits

    def restrict(self, logits: Tensor, states: np.ndarray) -> Tensor:
        """logits (N, V) with -inf for what is illegal in states (N,); in place."""
        penalty = self._penalty.to(logits.dtype)
        # Most rows stand between characters; only the others are looked up one by one.
        spelling = torch.from_numpy(np.flatnonzero(states)).to(logits.device)
        if not len(spelling):
            return logits.add_(penalty[0])
        rows = torch.from_numpy(states[states != 0].astype(np.int64)).to(logits.device)
        restricted = logits[spelling] + penalty[rows]
        return logits.add_(penalty[0]).index_copy_(0, spelling, restricted)
