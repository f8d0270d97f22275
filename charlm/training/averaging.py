"""Averages of the weights over steps: what is evaluated, sampled from and saved in their place.

Training goes on with the raw weights. How many weights an average holds is a pure function of
the step and of the evaluations in metrics.jsonl, so a resumed run averages as it would have.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor, nn

from charlm.training.state import Evaluations


class Rule(Protocol):
    """When weights are averaged, and what the newest of them counts for."""

    def count(self, step: int, evaluations: Evaluations) -> int:
        """How many weights the average after `step` is of; 0: there is none."""
        ...

    def share(self, count: int) -> float:
        """Of the newest weights in an average of `count`; 1 for the first."""
        ...


class NoAverage:
    """The weights stand for themselves."""

    def count(self, step: int, evaluations: Evaluations) -> int:
        return 0

    def share(self, count: int) -> float:
        return 1.0


@dataclass(frozen=True)
class ExponentialAverage:
    """a_t = sum_i d^(t-i) w_i / sum_i d^(t-i), i = 1 ... t: EMA with decay d.

    Corrected for its start as in Kingma & Ba 2015, sec. 7.2: the initial weights are not in it,
    and after one step it is w_1.
    """

    decay: float

    def count(self, step: int, evaluations: Evaluations) -> int:
        return step

    def share(self, count: int) -> float:
        return (1 - self.decay) / (1 - self.decay**count)


@dataclass(frozen=True)
class NonMonotoneAverage:
    """The mean of all weights after step T, where T is the first evaluation that is worse than
    the best of all but the `interval` evaluations before it.

    NT-ASGD (Merity et al. 2018, alg. 1, with its n = 5): v_t > min(v_0 ... v_(t-n-1)) and t > n.
    The index set is that of the authors' code; as there, the weights at T itself are not in it.
    """

    interval: int = 5

    def count(self, step: int, evaluations: Evaluations) -> int:
        least = list(accumulate(evaluations.nats, min))
        for t in range(self.interval + 1, len(least)):
            if evaluations.nats[t] > least[t - self.interval - 1]:
                return step - evaluations.steps[t]
        return 0

    def share(self, count: int) -> float:
        return 1 / count


def rule_for(optimizer: str, ema: float | None) -> Rule:
    """The rule that the settings `optimizer` and `ema` ask for."""
    if optimizer == "nt-asgd":
        return NonMonotoneAverage()
    return NoAverage() if ema is None else ExponentialAverage(ema)


class Averages:
    """The average of some parameters; `values` is None as long as there is none.

    It begins in the step after an evaluation, never at the evaluation itself: a checkpoint of
    that step may have been written already.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], rule: Rule) -> None:
        self.parameters, self.rule = list(parameters), rule
        self.values: list[Tensor] | None = None

    def after_step(self, step: int, evaluations: Evaluations) -> None:
        """Take in the weights after `step`."""
        count = self.rule.count(step, evaluations)
        weights = [parameter.detach() for parameter in self.parameters]
        if not count:
            self.values = None  # there may be some, where the evaluations they began with are lost
        elif self.values is None:
            self.values = [weight.clone() for weight in weights]
        else:
            torch._foreach_lerp_(self.values, weights, self.rule.share(count))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averages, where there are any, stand in the parameters until the block ends."""
        if self.values is None:
            yield
            return
        raw = [parameter.detach().clone() for parameter in self.parameters]
        self._put(self.values)
        try:
            yield
        finally:
            self._put(raw)

    def _put(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)
