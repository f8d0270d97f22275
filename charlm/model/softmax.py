"""The layer onto the vocabulary: which softmaxes choose the next token, out of what.

A token is chosen by one softmax over all of them, or by several one after the other
(`adaptive_softmax`). What training, measuring and writing need of the layer are its `Choice`s,
or the logits of all tokens.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from charlm.model.initialisation import fill_uniform
from charlm.model.legal import LegalTokens


class Choice(NamedTuple):
    """A softmax over K things at N places: softmax(x W^T + b), over what is legal there.

    The places are the `rows` of those that were asked about, or all of them. -log p of a token is
    the sum of what its choices cost.
    """

    x: Tensor  # (N, E) in the dtype of the products
    weight: Tensor  # (K, E)
    bias: Tensor | None  # (K,)
    targets: Tensor  # (N,) of 0 ... K-1
    legal: LegalTokens | None = None  # of K; None: everything is
    states: np.ndarray | None = None  # (N,) of the spelling automaton
    rows: Tensor | None = None  # (N,)
    guests: int = 0  # the last so many of the K stand only where they are the target

    def logits(self, part: slice) -> Tensor:
        """(n, K) at some of its places, in the dtype of the parameters."""
        products = self.x[part] @ self.weight.to(self.x.dtype).T
        return restricted(products, self.weight, self.bias, self.legal, self.states, part)


def restricted(
    products: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    legal: LegalTokens | None,
    states: np.ndarray | None,
    part: slice,
) -> Tensor:
    """The logits of a choice at some of its places, of their products (n, K), which may be
    overwritten."""
    if bias is None or legal is None or states is None:
        return products.to(weight.dtype)
    return legal.logits(products, bias, states[part])


class Softmax(Protocol):
    """A layer onto the vocabulary. x: (..., H), or (..., E) where `shared` is decoded with."""

    def draw(self, generator: torch.Generator, spread: float) -> None:
        """Its first weights; spread: of those that give logits, 1 as torch.nn has it."""
        ...

    def choices(
        self, x: Tensor, shared: Tensor, targets: Tensor, legal: LegalTokens, states: np.ndarray
    ) -> Iterator[Choice]:
        """What chooses targets (N,) in states (N,) after x (N, ...)."""
        ...

    def logits(self, x: Tensor, shared: Tensor) -> Tensor:
        """(..., V) in the dtype of the parameters. Restricted to what is legal, their softmax is
        what the choices come to."""
        ...


class FullSoftmax(nn.Module):
    """y = W x + b, p = softmax(y): W (V, H) and b (V,); without W where it is the embedding's."""

    def __init__(
        self, vocabulary_size: int, input_size: int, tied: bool, cutoffs: tuple[int, ...]
    ) -> None:
        super().__init__()
        assert not cutoffs
        self.weight: nn.Parameter | None = None
        if not tied:
            self.weight = nn.Parameter(torch.empty(vocabulary_size, input_size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def draw(self, generator: torch.Generator, spread: float) -> None:
        """U(-a, a), a = spread/sqrt(H); b is 0."""
        if self.weight is not None:
            fill_uniform(self.weight, spread / math.sqrt(self.weight.shape[1]), generator)
        self.bias.zero_()

    def choices(
        self, x: Tensor, shared: Tensor, targets: Tensor, legal: LegalTokens, states: np.ndarray
    ) -> Iterator[Choice]:
        yield Choice(x, self._matrix(shared), self.bias, targets, legal, states)

    def logits(self, x: Tensor, shared: Tensor) -> Tensor:
        y = nn.functional.linear(x, self._matrix(shared).to(x.dtype))
        return y.to(self.bias.dtype) + self.bias

    def _matrix(self, shared: Tensor) -> Tensor:
        return shared if self.weight is None else self.weight
