"""charlm info: what a run is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, parameter

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
]


def info(context: Context, values: Mapping[str, Any]) -> None:
    """What a run is: configuration, sizes, scores.

    Example: charlm info runs/notes --json
    """
    from charlm import api

    found = api.load(values["run"]).info()
    if context.as_json:
        context.output.json(found)
        return
    for key, value in _flat(found):
        shown = f"{value:.6g}" if isinstance(value, float) else f"{value}"
        context.output.line(f"{key}\t{shown}")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value))
    return rows
