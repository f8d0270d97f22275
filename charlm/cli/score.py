"""charlm score: a line in, a line out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from charlm.cli.adapting_options import adapting_options, read_adapting
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
    *adapting_options(
        "learn from each line after scoring it; bits beside",
        "what followed in lines before counts more; bits beside",
        "counts of the run's own training text mixed in; bits beside",
    ),
    *_SHARED.options,
]


def score(context: Context, values: Mapping[str, Any]) -> None:
    """What each line costs, in bits: bits, tokens, bits per character, line.

    With --dynamic, --cache or --counts, the bits of each come before the line. With the first
    two, lines are scored in their order, by a model that knows those before; with --counts too,
    the bits of each with counts come after its own.

    Example: charlm score runs/notes - < lines.txt | sort -k3 -rn | head
    """
    shared = _SHARED.read(values)
    adapting = read_adapting(values)
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
        **adapting,
        **shared,
    )
    out = context.output
    for number, line in enumerate(scored, 1):
        tokens = [model.tokenizer.token_text(int(token)) for token in line.ids]
        if context.as_json:
            out.json(_found(line, tokens if values["per_token"] else None))
        elif values["per_token"]:
            bits = zip(*(way.token_bits for way in [line, *_beside(line)]), strict=True)
            for token, each in zip(tokens, bits, strict=True):
                cells = [str(number), *(f"{value:.4f}" for value in each), one_line(token)]
                out.line("\t".join(cells))
        else:
            rate = line.bits_per_character
            beside = "".join(f"{way.bits:.4f}\t" for way in _beside(line))
            rate_shown = "-" if rate is None else f"{rate:.4f}"
            shown = line.text.removesuffix("\n")
            out.line(f"{line.bits:.4f}\t{len(line.ids)}\t{rate_shown}\t{beside}{shown}")


def _beside(line: Any) -> Iterator[Any]:
    """The line by all other ways in which it was scored: each, and what stands beside that."""
    for way in line.beside.values():
        yield way
        yield from _beside(way)


def _found(line: Any, tokens: Sequence[str] | None) -> dict[str, Any]:
    """The keys of --json; with the bits of each of the `tokens`."""

    def bits(way: Any) -> dict[str, Any]:
        found = {"bits": way.bits, "bits_per_character": way.bits_per_character}
        if tokens is not None:
            found["token_bits"] = list(zip(tokens, way.token_bits.tolist(), strict=True))
        return found | {name: bits(beside) for name, beside in way.beside.items()}

    found = {"bits": line.bits, "tokens": len(line.ids)} | bits(line)
    return found | {"line": line.text.removesuffix("\n")}
