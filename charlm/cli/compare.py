"""charlm compare: runs side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, parameter
from charlm.errors import UsageError
from charlm.storage.places import require_file_place

PARAMETERS = [
    parameter("runs", list[Path], typer.Argument(metavar="RUN ...", help="run directories"), ...),
    parameter(
        "out",
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="their curves in one picture, .svg or .png"
        ),
    ),
]


def compare(context: Context, values: Mapping[str, Any]) -> None:
    """Runs side by side: where their settings differ, and what they reached.

    Bits per character and per byte compare between tokenizers, nats per token do not.

    Example: charlm compare runs/lstm runs/gru --out cells.svg
    """
    runs = values["runs"]
    if len(runs) < 2:
        raise UsageError("only one run is given", "Name at least two: charlm compare A B")

    from charlm import api
    from charlm.report.comparison import comparison, warnings
    from charlm.report.curves import compared_curves
    from charlm.report.drawing import check_picture, write_picture
    from charlm.report.figure_table import write_table

    if values["out"] is not None:
        check_picture(values["out"])
        require_file_place(values["out"])
    histories = [api.history(run) for run in runs]
    rows = comparison(histories)
    for warning in warnings(histories):
        context.messages.say(warning)
    if values["out"] is not None:
        write_picture(compared_curves(histories), values["out"])
    names = [str(run) for run in runs]
    if context.as_json:
        found: dict[str, Any] = {"runs": names, "figures": rows}
        context.output.json(found)
        return
    write_table(context.output, ["", *names], [(key, *values) for key, values in rows.items()])
