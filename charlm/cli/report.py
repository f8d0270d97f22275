"""charlm report: a run on one page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import Context, file_or_beside, parameter
from charlm.errors import UsageError

PARAMETERS = [
    parameter("run", Path, typer.Argument(metavar="RUN", help="a run directory"), ...),
    parameter(
        "out",
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="the page, .html (else RUN-report.html)"),
    ),
    parameter(
        "no_text",
        bool,
        typer.Option("--no-text", help="without samples and passage: nothing of the text in it"),
        False,
    ),
]


def report(context: Context, values: Mapping[str, Any]) -> None:
    """A run on one page of HTML: figures, course, samples, surprisal, gradients.

    One file for any browser, with no script in it and nothing from the network.

    Example: charlm report runs/notes --out notes.html
    """
    out = file_or_beside(values["out"], values["run"], "-report.html")
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{out} is to be a page, and its name ends otherwise", "Try .html.")

    from charlm import api
    from charlm.report.run_page import run_page
    from charlm.storage.atomic import write_atomically

    story = api.story(values["run"], with_text=not values["no_text"], say=context.messages.say)
    write_atomically(out, run_page(story).encode("utf-8", "replace"))
    if context.as_json:
        context.output.json({"page": str(out), "bytes": out.stat().st_size})
    else:
        context.output.line(str(out))
