"""How weights move from one segment of a text to the next in dynamic evaluation.

    sgd    w <- w - lr g                       + decay (w_0 - w)
    rms    w <- w - lr g / (sqrt(MS) + eps)    + min(decay sqrt(MS) / m, 1) (w_0 - w)

with g the gradient of the segment's loss (nats: its sum divided by a whole segment's tokens,
its mean but for a shorter one), w_0 the trained weights, MS the mean
square of such gradients, for each weight its own, and m the mean of sqrt(MS) over all weights
(Krause et al. 2018, "Dynamic Evaluation of Neural Sequence Models", sec. 5).
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from charlm import registry

Tensors = list[Tensor]
EPSILON = 1e-3  # measured: scripts/LOG.md
RENEW = 1.1  # what follows from MS is made anew when so many times more segments are in it


class DynamicRule(ABC):
    """One way to move `weights`, from `trained` ones (w_0) on."""

    usual_lr: ClassVar[float]  # measured on Tiny Shakespeare: scripts/LOG.md

    def __init__(self, weights: Tensors, trained: Tensors, lr: float | None, decay: float) -> None:
        self.weights, self.trained = weights, trained
        self.lr = self.usual_lr if lr is None else lr
        self.decay = decay

    @abstractmethod
    def step(self, gradients: Tensors) -> None:
        """Learn from a segment with these gradients."""


class Sgd(DynamicRule):
    """Plain gradient steps."""

    usual_lr = 0.1

    @torch.no_grad()
    def step(self, gradients: Tensors) -> None:
        torch._foreach_lerp_(self.weights, self.trained, self.decay)
        torch._foreach_add_(self.weights, gradients, alpha=-self.lr)


class Rms(DynamicRule):
    """Steps in units of each weight's usual gradient, a decay in proportion to it.

    The usual gradients are those that `note` was given before the first step; where there were
    none, those of the steps so far, each one's own included.
    """

    usual_lr = 0.001

    def __init__(self, weights: Tensors, trained: Tensors, lr: float | None, decay: float) -> None:
        super().__init__(weights, trained, lr, decay)
        self._sums = [torch.zeros_like(weight) for weight in trained]
        self._noted = 0
        self._used = 0  # of those noted, so many are in what follows
        self._begun = self._as_it_goes = False
        self._rates: Tensors = []
        self._pulls: Tensors = []

    @torch.no_grad()
    def note(self, gradients: Tensors) -> None:
        """Take a segment's gradients into MS."""
        torch._foreach_addcmul_(self._sums, gradients, gradients)
        self._noted += 1

    @torch.no_grad()
    def step(self, gradients: Tensors) -> None:
        if not self._begun:
            self._begun, self._as_it_goes = True, self._noted == 0
        if self._as_it_goes:
            self.note(gradients)
        if self._noted >= RENEW * self._used:
            self._renew()
        torch._foreach_lerp_(self.weights, self.trained, self._pulls)
        torch._foreach_addcmul_(self.weights, gradients, self._rates, value=-1)

    def _renew(self) -> None:
        sizes = [(total / self._noted).sqrt_() for total in self._sums]
        mean = sum(float(size.sum()) for size in sizes) / sum(size.numel() for size in sizes)
        self._rates = [self.lr / (size + EPSILON) for size in sizes]
        self._pulls = [(size * (self.decay / (mean or 1.0))).clamp_(max=1) for size in sizes]
        self._used = self._noted


def usual_rate(rule: str) -> float:
    """The rate of the rule of this name where none is given."""
    kind: type[DynamicRule] = registry.resolve(registry.DYNAMIC_RULES, rule)
    return kind.usual_lr
