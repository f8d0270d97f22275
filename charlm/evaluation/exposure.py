"""How much a model gives away of sentences that were planted in its training text.

    N. Carlini et al. (2019), "The Secret Sharer": exposure (definition 5), by sampling (4.3) and
    by a skew-normal distribution fitted to the sampled costs (4.4).

The canary with number r, of |R| possible numbers, has exposure log2 |R| - log2 rank(r): how many
guesses the model saves whoever looks for it. For a number that was never seen the rank is any, and
exposure is log2(e) = 1.44 bits on average. The rank is taken among numbers drawn at random; where
the canary is cheaper than all of them, the fitted distribution says how much cheaper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.draws import Draws

Floats = npt.NDArray[np.float64]

_RESAMPLES = 2000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Exposure:
    """Of all canaries of a run, in bits.

    `mean` and its `interval` are by sampling, so at most `limit`; `chance` is what the mean of
    as many numbers never seen stays below, 99 times in 100. `fitted`: each by the distribution.
    """

    canaries: int
    mean: float
    interval: tuple[float, float]
    chance: float
    limit: float
    sampled: list[float]
    fitted: list[float]

    @property
    def remembered(self) -> bool:
        """Whether the canaries are cheaper than chance has it."""
        return self.mean > self.chance


def exposure(canaries: Sequence[float], others: Sequence[float], seed: int) -> Exposure:
    """From the bits that the model charges for the canaries, and for other numbers in their place.

    The confidence of the interval is 95 %, by resampling the canaries.
    """
    costs, drawn = np.asarray(canaries, np.float64), np.sort(np.asarray(others, np.float64))
    ranks = 1 + np.searchsorted(drawn, costs, side="right")
    limit = math.log2(len(drawn) + 1)
    sampled = limit - np.log2(ranks)
    generator = Draws(seed, 0).numpy("exposure")
    means = generator.choice(sampled, (_RESAMPLES, len(sampled))).mean(1)
    unseen = generator.integers(1, len(drawn) + 2, (_RESAMPLES, len(sampled)))
    chance = float(np.quantile((limit - np.log2(unseen)).mean(1), 0.99))
    low, high = np.quantile(means, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    fitted = skew_normal_exposure(costs, drawn)
    return Exposure(
        len(costs), float(sampled.mean()), (float(low), float(high)), chance, limit,
        sampled.tolist(), fitted.tolist(),
    )  # fmt: skip


def skew_normal_exposure(costs: Floats, others: Floats) -> Floats:
    """-log2 P(X <= cost) for X skew-normal with the mean, deviation and skewness of `others`.

    The density is 2/w phi(z) Phi(a z), z = (x - m)/w (Azzalini 1985); the tail is summed over it.
    """
    mean, deviation = float(others.mean()), max(float(others.std()), 1e-9)
    # The skewness of a skew-normal stays below 0.9953.
    skewness = float(np.clip(((others - mean) ** 3).mean() / deviation**3, -0.99, 0.99))
    root = (2 * abs(skewness) / (4 - math.pi)) ** (1 / 3)
    delta = math.copysign(root / math.sqrt(2 / math.pi * (1 + root**2)), skewness)
    a = delta / math.sqrt(max(1 - delta**2, 1e-9))
    w = deviation / math.sqrt(1 - 2 / math.pi * delta**2)
    m = mean - w * delta * math.sqrt(2 / math.pi)
    found = np.empty(len(costs))
    for place, cost in enumerate(costs):
        end = (float(cost) - m) / w
        # The tail falls by e^-z at least: 40 / (5 + z) further down nothing is left of it.
        z = np.linspace(min(end - 40 / (5 + abs(end)), -8.0), end, 401)
        log_density = np.array([_log_density(float(x), a) for x in z])
        peak = log_density.max()
        area = np.trapezoid(np.exp(log_density - peak), z)
        found[place] = max(0.0, -(peak + math.log(max(area, 1e-300))) / math.log(2))
    return found


def _log_density(z: float, a: float) -> float:
    """log of 2 phi(z) Phi(a z)."""
    x = -a * z / math.sqrt(2)
    # erfc underflows beyond 26: its asymptote exp(-x^2)/(x sqrt(pi)) is right to 1e-3 there.
    log_phi = (
        math.log(math.erfc(x) / 2) if x < 26 else -x * x - math.log(2 * x * math.sqrt(math.pi))
    )
    return math.log(2) - z * z / 2 - math.log(2 * math.pi) / 2 + log_phi
