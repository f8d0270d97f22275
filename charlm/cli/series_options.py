"""The options by which a verb is told where a series of numbers stands."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from charlm.cli.verbs import (
    Context,
    SharedSettings,
    parameter,
    point_out_unused_pipe,
    standard_input,
)
from charlm.errors import UsageError

if TYPE_CHECKING:
    from charlm.text.series import Values

_SHARED = SharedSettings("corpus.encoding", "corpus.errors")

SERIES = [
    parameter(
        "file",
        str,
        typer.Argument(
            metavar="[FILE|-]",
            help="a value a line, or a table with --column",
            show_default=False,
        ),
        "-",
    ),
    parameter(
        "column",
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="the column of values in a table (.csv, .tsv): its name, or with --no-header its "
            "number from 0",
        ),
    ),
    parameter(
        "no_header",
        bool,
        typer.Option("--no-header", help="the first row of the table is data too"),
        False,
    ),
    *_SHARED.options,
]


def read_values(context: Context, values: Mapping[str, Any]) -> "Values":
    """The series that the options name. UsageError, DataError."""
    shared, file = _SHARED.read(values), values["file"]
    if values["no_header"] and values["column"] is None:
        raise UsageError("--no-header is of a table", "Give --column too, a number from 0.")
    stdin = standard_input("the series") if file == "-" else None
    point_out_unused_pipe(context, file == "-")

    from charlm.text.decoding import check_decoding
    from charlm.text.series import read_series

    check_decoding(**shared)
    return read_series(
        file, values["column"], header=not values["no_header"],
        stdin=stdin, say=context.messages.say, **shared,
    )  # fmt: skip
