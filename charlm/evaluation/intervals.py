"""Means over repeats with different seeds, and how far they can be trusted."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from scipy.stats import t

LEVEL: Final = 0.95


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """mean, low and high: mean ± t s / sqrt(n), with Student's t of n - 1 degrees of freedom.

    Of one value, low and high are not known (None).
    """
    found = np.asarray(values, np.float64)
    mean, low, high = float(found.mean()), None, None
    if len(found) > 1:
        quantile = float(t.ppf((1 + LEVEL) / 2, len(found) - 1))
        half = quantile * float(found.std(ddof=1)) / math.sqrt(len(found))
        low, high = mean - half, mean + half
    return {"mean": mean, "low": low, "high": high, "values": found.tolist()}
