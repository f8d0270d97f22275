"""A forecast as a table and as a picture: median, bands, and how far they can be trusted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from charlm.forecasting import Forecast, Measurement
from charlm.report.drawing import COLOURS, legend, panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADINGS = ("step", "5%", "25%", "median", "75%", "95%")
MEASURED = ("forecast", "step", "absolute error", "pinball", "inside 50%", "inside 90%")
_HISTORIES = 3  # horizons of history in the picture


def rows(found: Forecast) -> list[tuple[Any, ...]]:
    """A row for each step ahead."""
    return [(step, *map(float, row)) for step, row in enumerate(found.quantiles, 1)]


def measured_rows(found: Measurement) -> list[tuple[Any, ...]]:
    """A row for each forecaster at some steps ahead, and for its mean over all of them."""
    made: list[tuple[Any, ...]] = []
    for step in _some_steps(len(found.example.quantiles)):
        for name, by_step in found.by.items():
            made.append((name, step, *(_figure(figures[step - 1]) for figures in by_step)))
    for name, by_step in found.by.items():
        made.append((name, "all", *(_figure(np.nanmean(figures)) for figures in by_step)))
    return made


def _figure(value: Any) -> str | None:
    return None if np.isnan(value) else f"{value:.3f}"


def _some_steps(horizon: int) -> Sequence[int]:
    return sorted({1, -(-horizon // 4), -(-horizon // 2), horizon})


def as_object(found: Forecast) -> dict[str, Any]:
    """For --json."""
    low, inner_low, median, inner_high, high = found.quantiles.T.tolist()
    return {
        "values": len(found.history),
        "median": median,
        "band_50": [inner_low, inner_high],
        "band_90": [low, high],
    }


def measured_object(found: Measurement) -> dict[str, Any]:
    """For --json: by forecaster, a figure for each step ahead."""
    return {
        "forecasts": found.forecasts,
        "average": found.average,
        "by": {
            name: {
                key: [None if np.isnan(value) else value for value in figures.tolist()]
                for key, figures in by_step._asdict().items()
            }
            for name, by_step in found.by.items()
        },
    }


def picture(found: Forecast, title: str | None) -> "Figure":
    """What was, and what may come: the median, and bands that hold half and nine tenths."""
    figure, (axes,) = panels([title or "forecast"], 1, panel=(6.5, 3.2))
    with style():
        _fan(axes, found)
    return figure


def measured_picture(found: Measurement, title: str | None) -> "Figure":
    """The last forecast with what came, and the error by steps ahead of each forecaster."""
    from matplotlib.ticker import MaxNLocator

    titles = [title or "the last forecast, and what came"]
    titles.append(f"mean absolute error, {found.forecasts:,} forecasts")
    figure, (fan, errors) = panels(titles, 2, panel=(4.6, 3.0))
    with style():
        _fan(fan, found.example)
        lines = []
        for by_step in found.by.values():
            steps = range(1, len(by_step.absolute_error) + 1)
            lines += errors.plot(steps, by_step.absolute_error)
        errors.set_ylim(0)
        errors.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        errors.set_xlabel("steps ahead")
        legend(errors, lines, list(found.by))
    return figure


def _fan(axes: "Axes", found: Forecast) -> None:
    ahead = np.arange(1, len(found.quantiles) + 1)
    shown = found.history[-_HISTORIES * len(ahead) :]
    before = np.arange(1 - len(shown), 1)
    colour = COLOURS[0]
    lines: list[Any] = axes.plot(before, shown, color=COLOURS[6])
    names = ["what was"]
    for low, high, alpha, name in ((0, 4, 0.15, "90 %"), (1, 3, 0.3, "50 %")):
        ends = found.quantiles[:, low], found.quantiles[:, high]
        lines.append(axes.fill_between(ahead, *ends, color=colour, alpha=alpha, linewidth=0))
        names.append(name)
    lines += axes.plot(ahead, found.quantiles[:, 2], color=colour)
    names.append("median")
    if found.truth is not None:
        lines += axes.plot(ahead, found.truth, color=COLOURS[1])
        names.append("what came")
    axes.axvline(0.5, color=COLOURS[6], linewidth=0.7, linestyle=":")
    axes.set_xlabel("steps after the last value")
    legend(axes, lines, names)
