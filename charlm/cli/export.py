"""charlm export: one file to take away."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, parameter

PARAMETERS = [
    parameter("run", Path, typer.Argument(metavar="RUN", help="a run directory"), ...),
    parameter("file", Path, typer.Argument(metavar="FILE", help="the file to write"), ...),
]


def export(context: Context, values: Mapping[str, Any]) -> None:
    """One file to generate and score with, with nothing of the text or the optimiser in it.

    Example: charlm export runs/notes notes.charlm
    """
    from charlm import api

    api.export(values["run"], values["file"])
    size = values["file"].stat().st_size
    context.messages.say(f"{values['file']}: {size / 2**20:.1f} MiB")
    if context.as_json:
        context.output.json({"file": str(values["file"]), "bytes": size})
