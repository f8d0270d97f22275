"""charlm plot: the course of a run as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, file_or_beside, parameter

PARAMETERS = [
    parameter("run", Path, typer.Argument(metavar="RUN", help="a run directory"), ...),
    parameter(
        "out",
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="the picture, .svg or .png (else RUN-plot.svg)"
        ),
    ),
]


def plot(context: Context, values: Mapping[str, Any]) -> None:
    """Loss, bits per character, learning rate and gradient of a run in one picture.

    Example: charlm plot runs/notes --out notes.png
    """
    from charlm import api
    from charlm.report.curves import run_curves, shown_panels
    from charlm.report.drawing import check_picture, write_picture

    out = file_or_beside(values["out"], values["run"], "-plot.svg")
    check_picture(out)
    history = api.history(values["run"])
    write_picture(run_curves(history), out)
    if not context.as_json:
        context.output.line(str(out))
        return
    series: dict[str, Any] = {}
    for panel in shown_panels(history):
        for split, key, _ in panel.curves:
            steps, figures = history.series(split, "step", key)
            series[f"{split}.{key}"] = {"step": [int(step) for step in steps], "value": figures}
    context.output.json({"picture": str(out), "series": series})
