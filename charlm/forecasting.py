"""What a series will do next, by a run that has learned it as words; and how well that is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charlm.errors import DataError, UsageError
from charlm.evaluation.forecast_accuracy import (
    QUANTILES,
    Accuracy,
    accuracy,
    moving_average,
    of_rule,
    persistence,
)
from charlm.forecast_settings import ForecastSettings, HoldOutSettings
from charlm.generation.paths import PathDrawer
from charlm.loaded import Model
from charlm.settings import AUTO
from charlm.text.direction import BACKWARD
from charlm.text.levels import Encoded, Levels
from charlm.text.series import Values

Say = Callable[[str], None]


@dataclass(frozen=True)
class Forecast:
    """Quantiles (H, Q) of the values after a history (N,), and the values themselves if known."""

    history: Values
    quantiles: Values
    truth: Values | None = None


@dataclass(frozen=True)
class Measurement:
    """Accuracy by forecaster: the model, and two simple rules; the last forecast as an example."""

    forecasts: int
    average: int  # values in the moving average
    by: Mapping[str, Accuracy]
    example: Forecast


def forecast(
    model: Model,
    values: Values,
    settings: ForecastSettings | None = None,
    say: Say = lambda message: None,
) -> Forecast:
    """What comes after these values (N,); NaN is a missing one.

    RunError: the run has learned no series. UsageError: it reads backwards.
    """
    settings = settings or ForecastSettings()
    series = _Series(model, values, settings, say)
    (quantiles,) = series.quantiles([len(values)])
    return Forecast(values, quantiles)


def measure(
    model: Model,
    values: Values,
    held_out: HoldOutSettings,
    settings: ForecastSettings | None = None,
    say: Say = lambda message: None,
) -> Measurement:
    """Forecasts of the last values from what was before each, against what came.

    DataError: too few values. Other errors as of `forecast`.
    """
    settings = settings or ForecastSettings()
    horizon, count = settings.horizon, held_out.held_out or 0
    if count < horizon or count >= len(values):
        raise DataError(
            f"--held-out is {count} of {len(values):,} values, and --horizon {horizon}",
            "Hold out as many as the horizon or more, and leave one before them at least.",
        )
    every, average = (horizon if n == AUTO else n for n in (held_out.every, held_out.average))
    origins = range(len(values) - count, len(values) - horizon + 1, every)
    if np.isnan(values[: origins[0]]).all():
        raise DataError(
            f"all {origins[0]:,} values before the first forecast are missing",
            "Hold out fewer.",
        )
    series = _Series(model, values, settings, say)
    quantiles = np.stack(series.quantiles(origins))  # (O, H, Q)
    truth = np.stack([values[origin : origin + horizon] for origin in origins])  # (O, H)
    rules = {
        "persistence": persistence(values, origins),
        "moving average": moving_average(values, origins, average),
    }
    by = {"model": accuracy(truth, quantiles)}
    by |= {name: of_rule(truth, point) for name, point in rules.items()}
    example = Forecast(values[: origins[-1]], quantiles[-1], truth[-1])
    return Measurement(len(origins), average, by, example)


class _Series:
    """Values as a model reads them."""

    def __init__(self, model: Model, values: Values, settings: ForecastSettings, say: Say) -> None:
        if model.config.model.direction == BACKWARD:
            raise UsageError(
                f"{model.stored.path} reads from the end, and a forecast goes on at the end",
                "Train with --direction forward.",
            )
        self._settings = settings
        self._levels = Levels(model.tokenizer, str(model.stored.path))
        self._drawer = PathDrawer(model.decoder(say=say), model.tokenizer, self._levels)
        self._values = values
        self._encoded = self._levels.encode(values)
        _tell(self._encoded, self._levels, say)

    def quantiles(self, origins: Sequence[int]) -> list[Values]:
        """(H, Q) after so many of the values, for each of them."""
        s = self._settings
        read = [len(self._levels.encode(self._values[:origin]).ids) for origin in origins]
        states = self._drawer.states(self._encoded.ids, read)
        return [
            np.quantile(
                self._drawer.draw(state, s.horizon, s.paths, s.seed, number), QUANTILES, axis=0
            ).T
            for number, state in enumerate(states)
        ]


def _tell(encoded: Encoded, levels: Levels, say: Say) -> None:
    if encoded.outside:
        say(
            f"{encoded.outside:,} values are outside of what the run has learned, "
            f"{levels.values[0]:g} to {levels.values[-1]:g}: each is read as the nearest of these."
        )
    if encoded.missing:
        how = "read as missing" if levels.missing is not None else "read as the one before"
        say(f"{encoded.missing:,} values are missing: {how}.")
