"""The adaptive softmax: frequent tokens are chosen at once, rare ones by way of their cluster.

    head     y = W x + b                       over the c_1 most frequent tokens and K clusters
    cluster  z_k = W_k (P_k x)                 over the tokens of rank c_k ... c_(k+1)-1
    p(v)   = softmax(y)_v                      for a frequent token
           = softmax(y)_(cluster k) softmax(z_k)_v        for one of cluster k

(Grave et al. 2017, "Efficient softmax approximation for GPUs", sec. 4.3; weights as in
torch.nn.AdaptiveLogSoftmaxWithLoss with a bias in the head, so that they convert one to one.)
P_k (H/4^k, H): the rarer tokens are, the shorter are their vectors. Training computes the head
everywhere, and a cluster only where the token is one of its own.

Tokens are ranked by their frequency in the training text. First of all come those that are legal
in other places than most (the bytes of what is spelled): then a cluster is legal where its
tokens are, all of them or none, and each softmax is over what is legal.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm.model.cluster_ranks import cluster_size, ranked
from charlm.model.initialisation import fill_uniform
from charlm.model.legal import LegalTokens
from charlm.model.softmax import Choice


class AdaptiveSoftmax(nn.Module):
    """cutoffs: c_1 ... c_K, the rank with which each cluster begins, below V."""

    def __init__(
        self, vocabulary_size: int, input_size: int, tied: bool, cutoffs: tuple[int, ...]
    ) -> None:
        super().__init__()
        assert not tied and cutoffs[0] > 0 and cutoffs[-1] < vocabulary_size
        self.borders = (*cutoffs, vocabulary_size)
        self.head = nn.Linear(input_size, cutoffs[0] + len(cutoffs))
        self.tail = nn.ModuleList(
            nn.ModuleList(
                (
                    nn.Linear(input_size, cluster_size(input_size, number), bias=False),
                    nn.Linear(cluster_size(input_size, number), end - begin, bias=False),
                )
            )
            for number, (begin, end) in enumerate(pairwise(self.borders), start=1)
        )
        # Of each token; exact in float32 up to 2^24, and stored with the weights.
        ranks = torch.arange(vocabulary_size, dtype=torch.float32)
        self.ranks = nn.Parameter(ranks, requires_grad=False)  # (V,)

    def draw(self, generator: torch.Generator, spread: float) -> None:
        """W U(-a, a), a = spread/sqrt(n) for n inputs, as of `softmax`, and P_k U(-1/sqrt(n),
        1/sqrt(n)); b is 0."""
        fill_uniform(self.head.weight, spread / math.sqrt(self.head.in_features), generator)
        for reduce, weight in self._matrices():
            fill_uniform(reduce, 1 / math.sqrt(reduce.shape[1]), generator)
            fill_uniform(weight, spread / math.sqrt(weight.shape[1]), generator)
        self.head.bias.zero_()

    @torch.no_grad()
    def rank(self, counts: np.ndarray, legal: np.ndarray) -> None:
        """Rank the tokens by counts (V,); legal (S, V)."""
        self.ranks.copy_(torch.from_numpy(ranked(-counts, legal)))

    def choices(
        self, x: Tensor, shared: Tensor, targets: Tensor, legal: LegalTokens, states: np.ndarray
    ) -> Iterator[Choice]:
        places, frequent = self.ranks[targets].long(), self.borders[0]
        cluster = torch.bucketize(
            places, torch.tensor(self.borders[:-1], device=x.device), right=True
        )
        first = torch.where(cluster > 0, frequent - 1 + cluster, places)
        yield Choice(x, self.head.weight, self.head.bias, first, legal.of(self._chosen()), states)
        # All of them, also where no target is: then their gradient is zero, in every process.
        for number, (begin, (reduce, weight)) in enumerate(
            zip(self.borders, self._matrices(), strict=False), 1
        ):
            rows = (cluster == number).nonzero().squeeze(1)
            reduced = F.linear(x[rows], reduce.to(x.dtype))
            yield Choice(reduced, weight, None, places[rows] - begin, rows=rows)

    def logits(self, x: Tensor, shared: Tensor) -> Tensor:
        """Those of the head, and for a token of a cluster y_cluster + log softmax(z)_v."""
        y = F.linear(x, self.head.weight.to(x.dtype)).to(self.ranks.dtype) + self.head.bias
        frequent = self.borders[0]
        parts = [y[..., :frequent]]
        for number, (reduce, weight) in enumerate(self._matrices()):
            z = F.linear(F.linear(x, reduce.to(x.dtype)), weight.to(x.dtype))
            inside = torch.log_softmax(z.to(y.dtype), dim=-1)
            parts.append(inside + y[..., frequent + number, None])
        return torch.cat(parts, dim=-1)[..., self.ranks.long()]

    def _matrices(self) -> Iterator[tuple[Tensor, Tensor]]:
        """P_k and W_k of each cluster."""
        for layers in self.tail:
            reduce, inside = cast(nn.ModuleList, layers)
            yield cast(nn.Linear, reduce).weight, cast(nn.Linear, inside).weight

    def _chosen(self) -> Tensor:
        """For each row of the head a token that is legal where it is: its own, or its cluster's."""
        frequent = (self.ranks < self.borders[0]).nonzero().squeeze(1)
        ordered = frequent[self.ranks[frequent].argsort()]
        clusters = [(self.ranks == begin).nonzero()[0] for begin in self.borders[:-1]]
        return torch.cat([ordered, *clusters])
