"""charlm export: one file to take away."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, parameter

PARAMETERS = [
    parameter("run", Path, typer.Argument(metavar="RUN", help="a run directory"), ...),
    parameter("file", Path, typer.Argument(metavar="FILE", help="the file to write"), ...),
    parameter(
        "together",
        bool,
        typer.Option(
            "--together",
            help="of a classifier also what classify --together needs: it holds words of the text",
        ),
        False,
    ),
]


def export(context: Context, values: Mapping[str, Any]) -> None:
    """One file to generate, score and classify with, and nothing of the text or the optimiser.

    Example: charlm export runs/notes notes.charlm
    """
    from charlm import api

    api.export(values["run"], values["file"], together=values["together"])
    size = values["file"].stat().st_size
    context.messages.say(f"{values['file']}: {size / 2**20:.1f} MiB")
    if values["together"]:
        context.messages.say(
            "It holds words of the training text and pairs of words, and words of text without "
            "labels where it was counted."
        )
    if context.as_json:
        context.output.json({"file": str(values["file"]), "bytes": size})
