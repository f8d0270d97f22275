"""charlm gradients: what back-propagation carries back through time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import (
    Context,
    SharedSettings,
    given,
    parameter,
    point_out_unused_pipe,
    settings_options,
    standard_input,
)
from charlm.errors import UsageError
from charlm.gradient_settings import FreshSettings, GradientSettings
from charlm.registry import FRESH_NETWORKS
from charlm.settings import settings_in
from charlm.storage.places import require_file_place

_FRESH = "Fresh networks"
_SHARED = SharedSettings("corpus.encoding", "corpus.errors")

PARAMETERS = [
    parameter(
        "run",
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="a run directory or exported file; without it, a fresh network of each kind",
            show_default=False,
        ),
    ),
    parameter(
        "text",
        str | None,
        typer.Option(
            "--text",
            metavar="TEXT",
            help="what to read: a file, a folder, .gz, or -; else the run's own held-out part, or "
            "the corpus that comes with charlm",
        ),
    ),
    *settings_options(GradientSettings, "What is followed"),
    parameter(
        "network",
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NAME",
            help=f"only this kind: {', '.join(FRESH_NETWORKS)} (repeatable)",
            rich_help_panel=_FRESH,
            show_default=False,
        ),
    ),
    *settings_options(FreshSettings, _FRESH),
    *_SHARED.options,
    parameter(
        "out",
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="a picture too, .svg or .png"),
    ),
]


def gradients(context: Context, values: Mapping[str, Any]) -> None:
    """What is left of a gradient some steps back in time: vanishing, held or exploding.

    Example: charlm gradients runs/notes --out gradients.svg
    """
    settings = GradientSettings(
        **given(values, [field.name for field in settings_in(GradientSettings)])
    )
    fresh = FreshSettings(**given(values, [field.name for field in settings_in(FreshSettings)]))
    names = values["network"] or []
    for name in names:
        if name not in FRESH_NETWORKS:
            raise UsageError(
                f"--network is {name}; needed: {' | '.join(FRESH_NETWORKS)}", "Name one of them."
            )
    if values["run"] is not None:
        for option in ("network", *(field.name for field in settings_in(FreshSettings))):
            if values[option]:
                raise UsageError(
                    f"--{option.replace('_', '-')} is for fresh networks, and {values['run']} is "
                    "a run",
                    "Leave one of them out.",
                )
    shared, text = _SHARED.read(values), values["text"]
    stdin = standard_input("the text") if text == "-" else None
    point_out_unused_pipe(context, stdin is not None)

    from charlm import api
    from charlm.report.drawing import check_picture, write_picture
    from charlm.report.figure_table import write_table
    from charlm.report.gradient_tables import gradient_picture, gradient_rows

    if values["out"] is not None:
        check_picture(values["out"])
        require_file_place(values["out"])
    flows = api.gradients(
        values["run"], text=text, networks=names, settings=settings, fresh=fresh, stdin=stdin,
        say=context.messages.say, **shared,
    )  # fmt: skip
    if values["out"] is not None:
        write_picture(gradient_picture(flows), values["out"])
    if context.as_json:
        context.output.json({"steps": settings.steps, "networks": flows})
    else:
        write_table(context.output, ["", *flows], gradient_rows(flows))
