"""The learning rate as a pure function: factor(progress, validations), a factor on --lr.

Progress is the share of the budget that is used up, 0 to 1, whichever limit is nearest to its
end, so that every schedule fits itself to epochs, steps or minutes. Validations are the figures
(nats per token) of all evaluations so far, in order.
"""

import math
from collections.abc import Callable, Sequence

Schedule = Callable[[float, Sequence[float]], float]


def constant(progress: float, validations: Sequence[float]) -> float:
    """1 throughout."""
    return 1.0


def cosine(progress: float, validations: Sequence[float]) -> float:
    """From 1 to 0.01 along half a cosine (Loshchilov & Hutter 2017, eq. 5)."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def one_cycle(progress: float, validations: Sequence[float]) -> float:
    """Linear from 0.1 to 1 and back in two legs of equal length, which end at nine tenths of the
    budget; in what remains, on to 0.001.

    Smith & Topin 2018: one cycle shorter than the run, then several orders of magnitude below its
    start. Of the policy this is the learning rate only: no momentum is cycled against it.
    """
    cycle, low, end = 0.9, 0.1, 0.001
    if progress < cycle:
        height = 1 - abs(2 * progress / cycle - 1)  # 0, 1, 0 over the cycle
        return low + (1 - low) * height
    rest = min((progress - cycle) / (1 - cycle), 1.0)
    return low + (end - low) * rest


def stlr(progress: float, validations: Sequence[float]) -> float:
    """Slanted triangular: a short linear rise and a long linear fall (Howard & Ruder 2018, eq. 3).

        p = t / cut up to cut = cut_frac T, then 1 - (t - cut) / (cut (1 / cut_frac - 1))
        factor = (1 + p (ratio - 1)) / ratio

    with cut_frac .1 and ratio 32; t / T is progress, and cut is not rounded to a step.
    """
    cut, ratio = 0.1, 32
    p = progress / cut if progress < cut else 1 - (min(progress, 1.0) - cut) / (1 - cut)
    return (1 + p * (ratio - 1)) / ratio


def plateau(progress: float, validations: Sequence[float]) -> float:
    """Halved by each evaluation that is not better than the best before it, down to 0.001.

    Mikolov et al. 2010, sec. 2, halve after an epoch without improvement on the validation text.
    """
    best, factor = math.inf, 1.0
    for nats in validations:
        if nats < best:
            best = nats
        else:
            factor /= 2
    return max(factor, 0.001)


def warm_up(step: int, warmup_steps: int) -> float:
    """Linear from 1/warmup_steps to 1 over the first steps (step counts from 0)."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
