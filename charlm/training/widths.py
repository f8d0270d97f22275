"""Which width learns most from a text in the time there is.

The best width grows as a power of the operations that a budget allows. That supposes that every
width is computed at the same rate; where the measured rate falls with the width (`pace`), a
narrower one that reads more may be better.
"""

import math
from collections.abc import Callable

from charlm.training.usual_rates import REFERENCE_WIDTH

# Measured on Tiny Shakespeare (1.0 M characters) with 2 cores (scripts/RECORDS.md): for how many
# operations (x 1e9), at the rate of the products alone, that width is best.
_REFERENCE_WORK = 23.5e3
_EXPONENT = 0.4  # width ~ work^0.4
_NARROWER = (1.0, 0.86, 0.75, 0.65, 0.56)
_LOSS_EXPONENT = 0.4  # any from 0.15 to 0.6 chose the same in what was measured (scripts/LOG.md)


def by_work(work: float) -> float:
    """The best width for so many operations (x 1e9), all at one rate."""
    return REFERENCE_WIDTH * math.pow(work / _REFERENCE_WORK, _EXPONENT)


def by_text(tokens: int) -> float:
    """A width for a text of which nothing but its length is known."""
    return REFERENCE_WIDTH * math.pow(tokens / 1e6, _EXPONENT)


def widest(tokens: int) -> float:
    """A text much smaller than the network is learned by heart."""
    return 32 * math.sqrt(tokens / 1000)


def rounded(width: float) -> int:
    """To a multiple of 64 (of 16 below 128): what matrix products like."""
    unit = 64 if width >= 128 else 16
    return max(16, unit * round(width / unit))


def best_of_narrower(width: int, supposed: float, tokens: Callable[[int], float]) -> int:
    """`width`, for which the rule supposes that so many tokens are read, or a narrower one.

    tokens(w): how many are read at width w, by the measured rate. The least loss, with

        loss(w) ~ (W / w)^p + 1/4 (D / tokens(w))^2p        W `width`, D `supposed`

    a power law in both that has its least value at W where tokens(w) = D (W / w)^2, that is
    where every width is computed at the same rate.
    """

    def loss(w: int) -> float:
        read = supposed / max(tokens(w), 1e-9)
        return math.pow(width / w, _LOSS_EXPONENT) + math.pow(read, 2 * _LOSS_EXPONENT) / 4

    return min({rounded(width * share) for share in _NARROWER}, key=lambda w: (loss(w), -w))
