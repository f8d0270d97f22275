"""Makes a series of heart rates, a value a minute, by a physiological model that is written here.

    python scripts/simulate_heart_rate.py --days 40 --out hr.csv [--seed 1] [--missing 0.01]

The rate h follows what is asked of it by first-order kinetics, faster up than down (as exercise
tests are described: Zakynthinaki 2015, "Modelling heart rate kinetics"):

    dh/dt = (d(t) - h) / tau        tau = 1.5 min where d > h, else 4 min
    d(t) = 66 - 8 cos(2 pi (t - 4 h) / 24 h) + demand(t)      lowest at four in the morning

demand is 0 at rest, 25 beats when walking and 65 in exercise. Rest ends at any moment alike (on
average after 40 minutes, never from 23 to 7 h); a walk takes 15 minutes and exercise 30, each
a fifth more or less. Added are slow fluctuations (an autoregression of 2 beats that forgets in 5
minutes) and an error of measurement of 1 beat. The constants are chosen, not fitted to people: what
it is for is a series of which it is known what can be foreseen in it. `--missing`: the share of
minutes without a value, in gaps of 5 on average.
"""

import argparse
import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from charlm.draws import Draws

DAY = 24 * 60  # minutes
REST, SWING, LOWEST = 66.0, 8.0, 4 * 60
TAU_UP, TAU_DOWN = 1.5, 4.0
# Beats that are asked for, minutes, share of what ends a rest.
ACTIVITIES = {"walk": (25.0, 15.0, 0.8), "exercise": (65.0, 30.0, 0.2)}
SPREAD, MEAN_REST = 0.2, 40.0
NIGHT = (23 * 60, 7 * 60)
SLOW, FORGETS, ERROR = 2.0, 5.0, 1.0
GAP = 5.0


def demands(days: int, seed: int) -> Iterator[float]:
    """What is asked beyond rest, minute by minute."""
    draw = Draws(seed, 0).numpy("activity")
    demand, left = 0.0, 0
    for minute in range(days * DAY):
        asleep = minute % DAY >= NIGHT[0] or minute % DAY < NIGHT[1]
        if left == 0:
            demand = 0.0
            if not asleep and draw.random() < 1 / MEAN_REST:
                name = draw.choice([*ACTIVITIES], p=[share for *_, share in ACTIVITIES.values()])
                demand, mean, _ = ACTIVITIES[str(name)]
                left = max(1, round(mean * math.exp(SPREAD * draw.standard_normal())))
        left = max(0, left - 1)
        yield demand


def heart_rates(days: int, seed: int, missing: float = 0.0) -> list[float]:
    """A value a minute; NaN where it is missing."""
    noise = Draws(seed, 0).numpy("noise")
    gaps = Draws(seed, 0).numpy("gaps")
    keeps = math.exp(-1 / FORGETS)
    rate, slow, gone = REST, 0.0, False
    found = []
    for minute, demand in enumerate(demands(days, seed)):
        target = REST - SWING * math.cos(2 * math.pi * (minute - LOWEST) / DAY) + demand
        tau = TAU_UP if target > rate else TAU_DOWN
        rate = target + (rate - target) * math.exp(-1 / tau)
        slow = keeps * slow + SLOW * math.sqrt(1 - keeps**2) * noise.standard_normal()
        value = rate + slow + ERROR * noise.standard_normal()
        gone = gaps.random() < (1 - 1 / GAP if gone else missing / (1 - missing) / GAP)
        found.append(math.nan if gone else value)
    return found


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--missing", type=float, default=0.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(words)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("minute", "heart_rate"))
        for minute, rate in enumerate(heart_rates(options.days, options.seed, options.missing)):
            writer.writerow((minute, "" if np.isnan(rate) else f"{rate:.1f}"))


if __name__ == "__main__":
    main()
