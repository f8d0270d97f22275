"""charlm correct: text in, text out with its spelling corrected."""

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
from charlm.correcting import CorrectionSettings
from charlm.errors import UsageError
from charlm.report import corrections
from charlm.settings import settings_in

_SHARED = SharedSettings("corpus.encoding", "corpus.errors")

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "file",
        str,
        typer.Argument(metavar="[FILE|-]", help="text to correct", show_default=False),
        "-",
    ),
    parameter(
        "backward",
        Path | None,
        typer.Option("--backward", metavar="RUN", help="a run that reads from the end, beside it"),
    ),
    parameter(
        "words",
        str | None,
        typer.Option(
            "--words",
            metavar="TEXT",
            help="a text whose words are right; without it, what the run was trained on",
        ),
    ),
    parameter(
        "held_out",
        str | None,
        typer.Option(
            "--held-out",
            metavar="TEXT",
            help="a right text to choose the threshold on; without it, the run's valid part",
        ),
    ),
    *settings_options(CorrectionSettings, "Caution"),
    parameter(
        "candidates",
        bool,
        typer.Option(
            "--candidates",
            help="a line for each unknown word: line, word, and gain and text of each candidate",
        ),
        False,
    ),
    *_SHARED.options,
]


def correct(context: Context, values: Mapping[str, Any]) -> None:
    """Correct misspelled words by what a model expects in their context.

    Example: charlm correct runs/notes < letter.txt > corrected.txt
    """
    chosen = given(values, [field.name for field in settings_in(CorrectionSettings)])
    settings = CorrectionSettings(**chosen)
    if "threshold" in chosen:
        for name in ("false_alarms", "held_out"):
            if values[name] is not None:
                option = "--" + name.replace("_", "-")
                raise UsageError(
                    f"{option} chooses the threshold, and --threshold gives it", "Give one of them."
                )
    if context.as_json and values["candidates"]:
        raise UsageError("--json shows the candidates by itself", "Leave --candidates out.")
    shared = _SHARED.read(values)
    file = values["file"]
    stream = open_or_standard_input(file, "the text")
    point_out_unused_pipe(context, file == "-")

    from charlm import api, correction
    from charlm.text.corpus import Reading

    runs = [values["run"], *([values["backward"]] if values["backward"] else [])]
    by = correction.corrector(
        [api.load(run) for run in runs],
        settings,
        values["words"],
        values["held_out"],
        Reading(**shared, say=context.messages.say),
    )
    name = "standard input" if file == "-" else file
    lines = correction.corrected(by, stream, name=name, say=context.messages.say, **shared)
    changed = words = 0
    for number, line in enumerate(lines, 1):
        changed += sum(unknown.corrected for unknown in line.unknown)
        words += line.words
        if context.as_json:
            context.output.json(corrections.as_object(line))
        elif values["candidates"]:
            context.output.write(corrections.candidates(number, line))
        else:
            context.output.write(line.text)
    context.messages.say(f"{changed:,} of {words:,} words corrected")
