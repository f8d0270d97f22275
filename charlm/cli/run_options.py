"""The options of the verbs that make a run directory, and what they have in common to say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import parameter
from charlm.errors import UsageError


def making_a_run(metavar: str) -> list[Any]:
    """Where the run is made, called `metavar`, and whether one is gone on with."""
    return [
        parameter(
            "out",
            Path | None,
            typer.Option("--out", "-o", metavar=metavar, help="the run directory to make"),
        ),
        parameter(
            "resume",
            bool,
            typer.Option("--resume", help="go on with the run in --out, exactly"),
            False,
        ),
        parameter("force", bool, typer.Option("--force", help="overwrite the run in --out"), False),
        parameter(
            "dry_run",
            bool,
            typer.Option("--dry-run", help="print the resolved configuration and stop"),
            False,
        ),
    ]


def check_making(values: Mapping[str, Any]) -> None:
    """UsageError for options of `making_a_run` that contradict each other."""
    if values["resume"] and values["force"]:
        raise UsageError("--resume goes on with a run and --force overwrites it", "Give one.")
    if values["dry_run"] and (values["resume"] or values["force"]):
        raise UsageError("--dry-run makes no run to --resume or --force", "Leave them out.")
    if values["out"] is None and not values["dry_run"]:
        raise UsageError("--out is missing", "Name the run directory to make: --out runs/mine")
