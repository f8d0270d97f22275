"""charlm score: a line in, a line out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import (
    Context,
    SharedSettings,
    open_or_standard_input,
    parameter,
    point_out_unused_pipe,
)
from charlm.report.output import one_line

_SHARED = SharedSettings(
    "corpus.encoding",
    "corpus.errors",
    "optimisation.precision",
    "optimisation.threads",
    "optimisation.device",
    "optimisation.kernel",
)

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "file",
        str,
        typer.Argument(metavar="[FILE|-]", help="lines of text", show_default=False),
        "-",
    ),
    parameter(
        "per_token",
        bool,
        typer.Option("--per-token", help="a line for each token: line number, bits, token"),
        False,
    ),
    parameter(
        "carry_state",
        bool,
        typer.Option("--carry-state", help="read on from line to line, as one document"),
        False,
    ),
    *_SHARED.options,
]


def score(context: Context, values: Mapping[str, Any]) -> None:
    """What each line costs, in bits: bits, tokens, bits per character, line.

    Example: charlm score runs/notes - < lines.txt | sort -k3 -rn | head
    """
    shared = _SHARED.read(values)
    file = values["file"]
    stream = open_or_standard_input(file, "the lines")
    point_out_unused_pipe(context, file == "-")

    from charlm import api

    model = api.load(values["run"])
    scored = model.score_stream(
        stream,
        name="standard input" if file == "-" else file,
        carry_state=values["carry_state"],
        say=context.messages.say,
        **shared,
    )
    out = context.output
    for number, line in enumerate(scored, 1):
        shown = line.text.removesuffix("\n")
        tokens = [model.tokenizer.token_text(int(token)) for token in line.ids]
        if context.as_json:
            found: dict[str, Any] = {
                "bits": line.bits,
                "tokens": len(line.ids),
                "bits_per_character": line.bits_per_character,
                "line": shown,
            }
            if values["per_token"]:
                found["token_bits"] = list(zip(tokens, line.token_bits.tolist(), strict=True))
            out.json(found)
        elif values["per_token"]:
            out.write(
                "".join(
                    f"{number}\t{bits:.4f}\t{one_line(token)}\n"
                    for token, bits in zip(tokens, line.token_bits, strict=True)
                )
            )
        else:
            each = line.bits_per_character
            each_shown = "-" if each is None else f"{each:.4f}"
            out.line(f"{line.bits:.4f}\t{len(line.ids)}\t{each_shown}\t{shown}")
