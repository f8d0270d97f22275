"""charlm verify: whether a run is whole, and what can be saved where it is not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, parameter
from charlm.errors import RunError

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
]


def verify(context: Context, values: Mapping[str, Any]) -> None:
    """Whether a run is whole: hashes, shapes, finite weights, versions. It changes nothing.

    Example: charlm verify runs/notes
    """
    from charlm import api

    found = api.verify(values["run"])
    if context.as_json:
        context.output.json(found.as_dict())
    else:
        for part in found.parts:
            by = "" if part.written_by is None else f"\tcharlm {part.written_by}"
            context.output.line(f"{part.name}\t{part.wrong or 'whole'}{by}")
            if part.remedy:
                context.output.line(f"\t-> {part.remedy}")
    damaged = ", ".join(part.name for part in found.damaged)
    if damaged:
        can = [
            f"it can {'' if able else 'not '}{what}"
            for what, able in (
                ("write, measure and score", found.readable),
                ("be trained on", found.resumable),
            )
        ]
        raise RunError(
            f"{values['run']}: not whole: {damaged}",
            f"As it is {' and '.join(can if found.kind == 'run' else can[:1])}.",
        )
