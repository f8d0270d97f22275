"""How a series is forecast: what a person chooses.

What is done is in forecasting.py; importing this file imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Annotated

from charlm.errors import UsageError
from charlm.settings import AUTO, Setting, read_settings

HELP = "`charlm forecast --help` shows every option with its range."


@dataclass(frozen=True)
class ForecastSettings:
    """UsageError: a value outside its range."""

    horizon: Annotated[int, Setting("values to forecast", least=1, most=10_000)] = 20
    paths: Annotated[int, Setting("paths that are drawn", least=20, most=10_000)] = 200
    seed: Annotated[int, Setting("of the draws", least=0, most=2**63 - 1)] = 1

    def __post_init__(self) -> None:
        read_settings(self, HELP)


@dataclass(frozen=True)
class HoldOutSettings:
    """A measurement on values that are there already. UsageError: a value outside its range."""

    held_out: Annotated[
        int | None,
        Setting(
            "measure: forecast the last so many values, each from what was before",
            least=1,
            none=True,
        ),
    ] = None
    every: Annotated[
        int,
        Setting(
            "values from one forecast to the next (auto: as many as the horizon)",
            least=1,
            auto=True,
        ),
    ] = AUTO
    average: Annotated[
        int,
        Setting("values in the moving average (auto: as many as the horizon)", least=1, auto=True),
    ] = AUTO

    def __post_init__(self) -> None:
        read_settings(self, HELP)
        for name in ("every", "average"):
            if self.held_out is None and getattr(self, name) != AUTO:
                raise UsageError(
                    f"--{name} is of a measurement, and --held-out is not given",
                    "Give --held-out N too, or leave it out.",
                )
