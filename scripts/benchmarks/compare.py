"""Two ways of doing one thing, timed in turn; and one way alone, where there is no other."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What was measured, of both ways, and the ratio charlm / plain over the pairs of runs.

    A ratio above 1 is in charlm's favour, of rates and of seconds alike. `plain` and the
    ratios are None where there is no plain way. `share`: charlm's, of the rate of a large matrix
    product that was measured in between, None where that says nothing.
    """

    what: str
    unit: str
    charlm: float
    plain: float | None = None
    ratio: float | None = None
    ratio_least: float | None = None
    ratio_most: float | None = None
    share: float | None = None


def compare(
    what: str,
    unit: str,
    amount: float,
    ours: Callable[[], None],
    plain: Callable[[], None],
    n: int,
    share: float = 1.0,
    ready: Callable[[bool], None] = lambda ours: None,
) -> Result:
    """Units a second: time both in turn, n times after one warm-up each.

    `share`: of the amount, how much the plain way does, where all of it would take too long.
    ready(ours) is called before each, untimed.
    """
    ours()
    plain()
    pairs = []
    for _ in range(n):
        ready(True)
        own = seconds(ours)
        ready(False)
        pairs.append((own, seconds(plain) / share))
    return of_pairs(what, unit, pairs, lambda median: amount / median)


def of_pairs(
    what: str, unit: str, pairs: list[tuple[float, float]], figure: Callable[[float], float]
) -> Result:
    """The result of costs (ours, plain) that were measured side by side; `figure` turns the
    median of each way's costs into what is shown."""
    ratios = [plain / ours for ours, plain in pairs]
    return Result(
        what,
        unit,
        figure(statistics.median(ours for ours, _ in pairs)),
        figure(statistics.median(plain for _, plain in pairs)),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def seconds(run: Callable[[], None]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
