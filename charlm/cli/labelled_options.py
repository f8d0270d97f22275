"""The options by which a verb is told how a table of texts is laid out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from charlm.cli.verbs import parameter
from charlm.errors import UsageError

if TYPE_CHECKING:
    from charlm.text.labelled import Layout

_PANEL = "Table"
FORMATS = ("csv", "tsv", "jsonl")


def _flag(name: str, help: str) -> Any:
    return parameter(
        name, bool, typer.Option(f"--{name}", help=help, rich_help_panel=_PANEL), False
    )


def _column(name: str, help: str) -> Any:
    option = f"--{name.replace('_', '-')}"
    info = typer.Option(
        option, metavar="NAME", help=help, rich_help_panel=_PANEL, show_default=False
    )
    return parameter(name, str | None, info)


_FORMATS = [
    _flag("csv", "it is CSV, whatever its name"),
    _flag("tsv", "it is TSV, whatever its name"),
    _flag("jsonl", "it is JSON lines, whatever its name"),
]
_TEXTS = _column(
    "text_column", "the column of texts: its name, or number with --no-header (default: text)"
)
LABELS = _column("label_column", "the column of labels, its name or number too (default: label)")
LABELS_TO_MEASURE = _column("label_column", "measure against this column of labels (default: none)")
TABLE = [
    *_FORMATS,
    _TEXTS,
    parameter(
        "no_header",
        bool,
        typer.Option("--no-header", help="the first row is a text too", rich_help_panel=_PANEL),
        False,
    ),
]


def refuse_without_table(values: Mapping[str, Any]) -> None:
    """UsageError for an option about a table where there is none to read."""
    for name in (*FORMATS, "text_column", "label_column", "no_header"):
        if values[name]:
            raise UsageError(
                f"--{name.replace('_', '-')} says how DATA is read, and there is no DATA",
                "Name the table too, or leave it out.",
            )


def layout_of(values: Mapping[str, Any]) -> "Layout":
    """How the table is read; a verb may have no label column. UsageError: two formats."""
    formats = [name for name in FORMATS if values[name]]
    if len(formats) > 1:
        raise UsageError(f"--{formats[0]} and --{formats[1]} are both given", "Give one.")
    found: Layout = {"header": not values["no_header"]}
    if formats:
        found["format"] = formats[0]
    if values["text_column"] is not None:
        found["text_column"] = values["text_column"]
    if values.get("label_column") is not None:
        found["label_column"] = values["label_column"]
    return found
