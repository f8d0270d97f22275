"""The learning rate as a pure function of progress: factor(progress), 0 <= progress <= 1.

Progress is the share of the budget that is used up, whichever limit is nearest to its end,
so that every schedule fits itself to epochs, steps or minutes.
"""

import math


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


def cosine(progress: float) -> float:
    """From 1 to 0.01 along half a cosine (Loshchilov & Hutter 2017, eq. 5)."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def warm_up(step: int, warmup_steps: int) -> float:
    """Linear from 1/warmup_steps to 1 over the first steps (step counts from 0)."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
