"""charlm forecast: a history in, what may come out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.series_options import SERIES, read_values
from charlm.cli.verbs import Context, given, parameter, settings_options
from charlm.errors import UsageError
from charlm.forecast_settings import ForecastSettings, HoldOutSettings
from charlm.settings import settings_in
from charlm.storage.places import require_file_place

PARAMETERS = [
    parameter(
        "run",
        Path,
        typer.Argument(metavar="RUN", help="a run or exported file that has learned a series"),
        ...,
    ),
    *SERIES,
    *settings_options(ForecastSettings, "What is drawn"),
    *settings_options(HoldOutSettings, "How good is it?"),
    parameter(
        "out",
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="a picture too, .svg or .png"),
    ),
    parameter(
        "title",
        str | None,
        typer.Option("--title", metavar="TEXT", help="what stands over the picture"),
    ),
]


def forecast(context: Context, values: Mapping[str, Any]) -> None:
    """What a series will do next: median, and the bands for a half and nine tenths of all cases.

    Example: charlm forecast runs/hr today.csv --column bpm --horizon 20 --out next.svg
    """
    settings = ForecastSettings(**given(values, _names(ForecastSettings)))
    held_out = HoldOutSettings(**given(values, _names(HoldOutSettings)))
    out, title = values["out"], values["title"]
    if title is not None and out is None:
        raise UsageError("--title is over a picture", "Give --out FILE too.")
    if out is not None:
        require_file_place(out)
    series = read_values(context, values)

    from charlm import api, forecasting
    from charlm.report import forecast_report as report
    from charlm.report.drawing import check_picture, write_picture
    from charlm.report.figure_table import write_table

    if out is not None:
        check_picture(out)
    model, say = api.load(values["run"]), context.messages.say
    if held_out.held_out is None:
        found = forecasting.forecast(model, series, settings, say)
        shown, headings, rows = report.as_object(found), report.HEADINGS, report.rows(found)
        picture = out and report.picture(found, title)
    else:
        measured = forecasting.measure(model, series, held_out, settings, say)
        shown = report.measured_object(measured)
        headings, rows = report.MEASURED, report.measured_rows(measured)
        picture = out and report.measured_picture(measured, title)
    if out is not None:
        write_picture(picture, out)
    if context.as_json:
        context.output.json({"run": str(values["run"]), "horizon": settings.horizon, **shown})
    else:
        write_table(context.output, headings, rows)


def _names(kind: type) -> list[str]:
    return [field.name for field in settings_in(kind)]
