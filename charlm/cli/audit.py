"""charlm audit: does the model repeat its training text?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.audit_settings import AuditSettings
from charlm.cli.verbs import (
    Context,
    given,
    parameter,
    point_out_unused_pipe,
    settings_options,
    standard_input,
)
from charlm.errors import UsageError
from charlm.settings import settings_in

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "corpus",
        list[str] | None,
        typer.Option(
            "--corpus",
            metavar="TEXT",
            help="what it was trained on: files, folders, .gz, or - (repeatable)",
            show_default=False,
        ),
    ),
    parameter(
        "held_out",
        list[str] | None,
        typer.Option(
            "--held-out",
            metavar="TEXT",
            help="new text of the same kind, in place of the run's test or valid part",
            show_default=False,
        ),
    ),
    *settings_options(AuditSettings, "Writing"),
]


def audit(context: Context, values: Mapping[str, Any]) -> None:
    """Does the model repeat its training text, more than new text of the same kind does?

    Example: charlm audit runs/notes --corpus notes.txt
    """
    names = [field.name for field in settings_in(AuditSettings)]
    settings = AuditSettings(**given(values, names))
    corpus, held_out = values["corpus"] or [], values["held_out"] or []
    if not corpus:
        raise UsageError(
            "--corpus is missing", "Name the text that the run was trained on: --corpus TEXT"
        )
    stdin = standard_input("the text") if "-" in [*corpus, *held_out] else None
    point_out_unused_pipe(context, stdin is not None)

    from charlm import api

    found = api.audit(
        values["run"], corpus, held_out, settings, stdin=stdin, say=context.messages.say
    )
    if context.as_json:
        context.output.json(found.as_dict())
        return
    rows = [
        (
            f"{share.length} characters",
            _range(share.generated, share.generated_interval),
            _range(share.held_out, share.held_out_interval),
        )
        for share in found.shares
    ]
    title = f"{found.run}: word for word in the training text, by length"
    context.messages.table(title, rows, ("pieces of", "written by the model", "new text"))
    for line in found.verdict:
        context.output.line(line)


def _range(share: float, interval: tuple[float, float]) -> str:
    return f"{share:.1%} ({interval[0]:.1%} to {interval[1]:.1%})"
