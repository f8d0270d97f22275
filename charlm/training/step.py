"""One step of learning: the loss that a task gives, and its gradient."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from charlm.training import gradients
from charlm.training.ranks import Ranks

# Nats a token from which training has diverged, though no number is infinite yet: guessing evenly
# among a million tokens costs 14.
BLOWN_UP = 1e4


class StepLoss(NamedTuple):
    """The loss of one step, to go back through; how many tokens were read for it; how many
    passes over the text are done after it; what is added to the loss but not reported; and the
    share of a whole step that it is, by which the learning rate is scaled.

    Of several processes each has its part of loss and penalty: they add up.
    """

    loss: Tensor
    tokens: int
    epoch: float
    penalty: Tensor | None = None
    share: float = 1.0


class Task(Protocol):
    """What is learned.

    unit: what the loss is the mean over, "token" or "text". moved(step): the names of the
    weights that the optimiser has moved before `step`.
    """

    unit: str

    @property
    def windows_per_epoch(self) -> int: ...

    def loss(self, step: int) -> StepLoss: ...

    def moved(self, step: int) -> Collection[str]: ...

    def carried(self) -> dict[str, Tensor]: ...

    def restore(self, carried: dict[str, Tensor]) -> None: ...


class Gradient(NamedTuple):
    """What a step comes to before it is taken; the gradient itself is in the parameters."""

    nats: float  # the mean loss, of all processes together
    norm: float  # of the gradient, before it was cut
    tokens: int
    epoch: float
    share: float

    @property
    def diverged(self) -> bool:
        """Then the step must not be taken."""
        return not (-math.inf < self.nats < BLOWN_UP and math.isfinite(self.norm))


def gradient(
    task: Task,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    step: int,
    ranks: Ranks,
) -> Gradient:
    """Leave the gradient of step `step`, cut to `clip_norm`, in the parameters: of all `ranks`
    together, the same in each."""
    optimizer.zero_grad(set_to_none=True)  # before new ones are made: of both there is no need
    found = task.loss(step)
    (found.loss if found.penalty is None else found.loss + found.penalty).backward()
    nats = ranks.summed(parameters, float(found.loss.detach()))
    norm = gradients.clip(parameters, clip_norm)
    return Gradient(nats, norm, found.tokens, found.epoch, found.share)


def update(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Take the step, at the rate `lr` times each group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("factor", 1.0)
    optimizer.step()
