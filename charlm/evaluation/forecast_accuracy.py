"""How well a series was forecast: absolute error, pinball loss and the bands, a step ahead or more.

Legend: O forecasts, each from the values before an origin; H steps ahead; Q quantiles.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charlm.text.levels import carried
from charlm.text.series import Values

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MEDIAN, _INNER, _OUTER = 2, (1, 3), (0, 4)


class Accuracy(NamedTuple):
    """Means over forecasts, (H,) each; NaN where no value is there to compare with.

    inside_50, inside_90: the share of values between the quantiles 0.25 and 0.75, 0.05 and 0.95.
    """

    absolute_error: Values
    pinball: Values
    inside_50: Values
    inside_90: Values


def pinball_loss(truth: Values, quantiles: Values) -> Values:
    """The loss that the true quantile makes least (Koenker & Bassett 1978), its mean over Q.

        max(q (y - f_q), (q - 1) (y - f_q))

    truth (O, H), quantiles (O, H, Q); gives (O, H), in units of the values.
    """
    beyond = truth[..., None] - quantiles
    q = np.array(QUANTILES)
    return np.maximum(q * beyond, (q - 1) * beyond).mean(axis=-1)  # type: ignore[no-any-return]


def accuracy(truth: Values, quantiles: Values, point: Values | None = None) -> Accuracy:
    """Of forecasts by their quantiles (O, H, Q); `point` (O, H): the median, if not among them."""
    point = quantiles[..., _MEDIAN] if point is None else point
    known = ~np.isnan(truth)

    def inside(ends: tuple[int, int]) -> Values:
        low, high = (quantiles[..., end] for end in ends)
        return _means((low <= truth) & (truth <= high), known)

    return Accuracy(
        _means(np.abs(truth - point), known),
        _means(pinball_loss(truth, quantiles), known),
        inside(_INNER),
        inside(_OUTER),
    )


def _means(each: npt.NDArray[np.generic], known: npt.NDArray[np.bool_]) -> Values:
    """(O, H) to (H,), over what is known."""
    counts = known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(known, each, 0.0).sum(axis=0) / counts  # type: ignore[no-any-return]


def persistence(values: Values, origins: Sequence[int]) -> Values:
    """(O,) the last value before each origin: that it stays as it is."""
    return carried(values)[np.array(origins) - 1]  # type: ignore[no-any-return]


def moving_average(values: Values, origins: Sequence[int], length: int) -> Values:
    """(O,) the mean of the last values before each origin, missing ones as the one before them."""
    before = carried(values)
    return np.array([np.nanmean(before[max(0, o - length) : o]) for o in origins])


def of_rule(truth: Values, point: Values) -> Accuracy:
    """Of a rule that gives one value (O,) for all steps ahead.

    Its quantiles are its value and those of its own errors, at each step ahead, over these very
    forecasts: what it could know of its errors at best, so this favours it.
    """
    points = np.broadcast_to(point[:, None], truth.shape)
    errors = truth - points
    known = ~np.isnan(errors).all(axis=0)
    spread = np.zeros((truth.shape[1], len(QUANTILES)))
    spread[known] = np.nanquantile(errors[:, known], QUANTILES, axis=0).T  # (H, Q)
    return accuracy(truth, points[..., None] + spread, points)
