"""charlm look: what a model knows of a text, piece by piece."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import (
    Context,
    SharedSettings,
    given,
    open_or_standard_input,
    parameter,
    point_out_unused_pipe,
    settings_options,
)
from charlm.errors import UsageError
from charlm.looking import LookSettings
from charlm.registry import DETECTORS
from charlm.settings import settings_in
from charlm.storage.places import require_file_place

_SHARED = SharedSettings("corpus.encoding", "corpus.errors")

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "text", str, typer.Argument(metavar="TEXT", help="a file of text, or - to read it"), ...
    ),
    *settings_options(LookSettings, "What is shown"),
    parameter(
        "follow",
        list[str] | None,
        typer.Option(
            "--follow",
            metavar="WHAT",
            help="show the unit that follows this most closely: "
            f"{', '.join(DETECTORS)}, all of them, or a regular expression (repeatable)",
            rich_help_panel="What is shown",
            show_default=False,
        ),
    ),
    parameter(
        "unit",
        list[str] | None,
        typer.Option(
            "--unit",
            metavar="LAYER:NUMBER",
            help="show the gates and states of this unit (repeatable)",
            rich_help_panel="What is shown",
            show_default=False,
        ),
    ),
    parameter(
        "out",
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE.svg", help="a picture in place of text on the terminal"
        ),
    ),
    *_SHARED.options,
]


def look(context: Context, values: Mapping[str, Any]) -> None:
    """See what a model knows of a text: the surprisal of each piece, in colours.

    Example: charlm look runs/notes letter.txt --follow quotes --out letter.svg
    """
    settings = LookSettings(**given(values, [field.name for field in settings_in(LookSettings)]))
    units = [_unit(word) for word in values["unit"] or []]
    out: Path | None = values["out"]
    if out is not None and out.suffix.lower() != ".svg":
        raise UsageError(f"--out is {out}; needed: a name that ends in .svg", "Name it so.")
    if out is not None:
        require_file_place(out)
    shared = _SHARED.read(values)
    text = _read(context, values["text"], shared)

    from charlm import api
    from charlm.report import look_picture, look_screen
    from charlm.report.coloured_text import unit_in_words

    seen = api.load(values["run"]).look(
        text,
        settings,
        units=units,
        follow=values["follow"] or (),
        say=context.messages.say,
    )
    for one in seen.units:
        context.messages.say(unit_in_words(one))
    if seen.shortened:
        context.messages.say(f"There is more text than the {settings.length} tokens of --length.")
    if out is not None:
        look_picture.write_svg(seen, out)
        context.messages.say(f"{out} is written.")
    if context.as_json:
        context.output.json(look_screen.as_object(seen, str(values["run"])))
    elif out is None:
        look_screen.show(seen, context.output)


def _unit(word: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,8})", word)
    if match is None:
        raise UsageError(f"--unit is {word}; needed: LAYER:NUMBER, each from 1", "As in 1:17.")
    return int(match[1]), int(match[2])


def _read(context: Context, file: str, how: Mapping[str, Any]) -> str:
    from charlm.looking import ENOUGH
    from charlm.text.decoding import check_decoding, decoded

    check_decoding(**how)
    point_out_unused_pipe(context, file == "-")
    stream = open_or_standard_input(file, "the text")
    name = "standard input" if file == "-" else file
    found: list[str] = []
    for block in decoded(stream, name=name, say=context.messages.say, **how):
        found.append(block)
        if sum(map(len, found)) > ENOUGH:
            break
    return "".join(found)
