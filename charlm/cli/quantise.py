"""charlm quantise: a series of numbers in, a text of words out."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import typer

from charlm.cli.series_options import SERIES, read_values
from charlm.cli.verbs import Context, checked, parameter, setting_option
from charlm.settings import AUTO, Setting
from charlm.storage.places import require_file_place

_STEP = Setting(
    "what is between one word and the next; auto: some 40 for most of the values",
    above=0,
    most=1e12,
    auto=True,
)

PARAMETERS = [
    *SERIES,
    setting_option("step", float, _STEP, AUTO),
    parameter(
        "out",
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="the text goes there, and not to stdout"),
    ),
]


def quantise(context: Context, values: Mapping[str, Any]) -> None:
    """Make a text of a series: a word for each value, a line for the series.

    Example: charlm quantise hr.csv --column bpm | charlm train - --preset series --out runs/hr
    """
    step = checked("--step", values["step"], float, _STEP, AUTO)
    out = values["out"]
    if out is not None:
        require_file_place(out)
    series = read_values(context, values)

    from charlm.storage.atomic import write_atomically
    from charlm.text.series import MISSING, as_text, as_words, usual_step

    size = usual_step(series) if step == AUTO else Decimal(str(step))
    words = as_words(series, size)
    found: dict[str, Any] = {
        "values": len(words),
        "missing": words.count(MISSING),
        "step": float(size),
        "words": len({*words} - {MISSING}),
    }
    context.messages.say(
        "{values:,} values ({missing:,} missing) in steps of {step:g}: {words:,} words".format_map(
            found
        )
    )
    text = as_text(words)
    if out is not None:
        write_atomically(out, text.encode())
    if context.as_json:
        context.output.json({**found, **({"text": text} if out is None else {"file": str(out)})})
    elif out is None:
        context.output.write(text)
