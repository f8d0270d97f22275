"""Texts by themselves, a text a line or a row of a table: what `classify` and `embed` read."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from charlm.cli.labelled_options import FORMATS, layout_of
from charlm.cli.verbs import (
    Context,
    given,
    open_or_standard_input,
    parameter,
    point_out_unused_pipe,
)
from charlm.errors import UsageError
from charlm.text.tables import told_format

if TYPE_CHECKING:
    from charlm.text.labelled import LabelledRow

_ROWS, _CHARACTERS = 512, 1 << 18  # read at once
FILE = parameter(
    "file",
    str,
    typer.Argument(
        metavar="[FILE|-]",
        help="a text a line, or a table (.csv, .tsv, .jsonl)",
        show_default=False,
    ),
    "-",
)


def open_texts(
    context: Context, values: Mapping[str, Any], reading: Mapping[str, Any]
) -> Iterator[Sequence["LabelledRow"]]:
    """The rows of FILE in groups, as they come; their numbers are those of lines or table rows.

    values: FILE's and those of `labelled_options.TABLE`, of which the label column may be missing;
    reading: encoding and what is done about errors in it. Raises at once: UsageError for an option
    of a table where lines are read, DataError for a file that can not be opened.
    """
    layout, file = layout_of(values), values["file"]
    is_table = (layout.get("format") or told_format(file)) is not None
    if not is_table:
        for name in given(values, ("text_column", "label_column")):
            raise UsageError(
                f"--{name.replace('_', '-')} is of a table, and {file} is read line by line",
                "Give --" + ", --".join(FORMATS) + " or a file of such a name.",
            )
        if values["no_header"]:
            raise UsageError("--no-header is of a table", "Give --csv, --tsv or --jsonl too.")
    as_bytes = file == "-" or not is_table
    stream = open_or_standard_input(file, "the texts") if as_bytes else None
    point_out_unused_pipe(context, file == "-")
    if not is_table:
        return _lines(stream, file, reading, context)
    layout.setdefault("label_column", None)
    return _rows(file, stream, {**layout, **reading}, context)


def _lines(
    stream: Any, file: str, reading: Mapping[str, Any], context: Context
) -> Iterator[Sequence["LabelledRow"]]:
    from charlm.text.labelled import LabelledRow
    from charlm.text.lines import line_batches, without_break

    number = 0
    say = context.messages.say
    name = "standard input" if file == "-" else file
    for batch in line_batches(stream, _ROWS, _CHARACTERS, name=name, say=say, **reading):
        rows = [
            LabelledRow(without_break(line), None, number + place)
            for place, line in enumerate(batch, 1)
        ]
        number += len(batch)
        yield rows


def _rows(
    file: str, stream: Any, layout: Any, context: Context
) -> Iterator[Sequence["LabelledRow"]]:
    from charlm.text.labelled import row_batches

    source = "-" if file == "-" else Path(file)
    yield from row_batches(
        source, _ROWS, _CHARACTERS, stdin=stream, say=context.messages.say, **layout
    )
