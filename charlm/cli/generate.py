"""charlm generate: prompts in, samples out."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import typer

from charlm.cli.adapting_options import adapting_options, read_adapting
from charlm.cli.verbs import (
    Context,
    SharedSettings,
    given,
    open_or_standard_input,
    parameter,
    point_out_unused_pipe,
    settings_options,
    standard_input,
)
from charlm.errors import UsageError
from charlm.generation.settings import GenerationSettings, SamplingSettings, settings_of

_SHARED = SharedSettings("corpus.encoding", "corpus.errors")  # of prompts that are read
_GIVEN = [field.name for kind in (GenerationSettings, SamplingSettings) for field in fields(kind)]

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "prompt",
        str | None,
        typer.Argument(
            metavar="[PROMPT]",
            help="what the text starts with (a backward model: ends with); - reads it",
            show_default=False,
        ),
    ),
    parameter(
        "prompts",
        str | None,
        typer.Option("--prompts", metavar="FILE|-", help="one prompt a line", show_default=False),
    ),
    *settings_options(GenerationSettings, "Length"),
    parameter(
        "stop",
        list[str] | None,
        typer.Option(
            "--stop",
            metavar="TEXT",
            help="end where this would come next (repeatable)",
            rich_help_panel="Length",
            show_default=False,
        ),
    ),
    *settings_options(SamplingSettings, "Sampling"),
    *adapting_options(
        "learn from the prompt before writing what follows it",
        "what followed in the prompt and in what is written counts more",
        "counts of the run's own training text mixed in",
    ),
    parameter("no_echo", bool, typer.Option("--no-echo", help="leave the prompt out"), False),
    *_SHARED.options,
]

_TOGETHER, _CHARACTERS = 64, 1 << 16  # prompts answered at once
SEPARATOR = "---"  # a line between samples


def generate(context: Context, values: Mapping[str, Any]) -> None:
    """Write new text.

    Example: charlm generate runs/notes "The patient " --length 300 --temperature 0.8
    """
    settings = settings_of(given(values, _GIVEN) | {"stop": tuple(values["stop"] or ())})
    adapting = read_adapting(values)
    if adapting["dynamic"] and not (values["prompt"] or values["prompts"]):
        raise UsageError("--dynamic learns from the prompt, and there is none", "Give a PROMPT.")
    groups = _prompts(context, values)

    from charlm import api

    model = api.load(values["run"])
    out, wrote, text = context.output, False, ""
    begins = True
    for prompts in groups:
        for piece in model.pieces(prompts, settings, context.messages.say, **adapting):
            echo = "" if values["no_echo"] else piece.prompt
            before, after = ("", echo) if model.prompt_follows else (echo, "")
            sample = piece.sample
            if context.as_json:
                if sample is not None:
                    out.json(asdict(sample) | {"text": before + sample.text + after})
                continue
            if begins:
                if wrote:
                    # A separator stands on a line of its own.
                    out.write(("" if text.endswith("\n") else "\n") + SEPARATOR + "\n")
                wrote, text = True, _write(out, "", before)
            text = _write(out, text, piece.text + after if sample is not None else piece.text)
            begins = sample is not None
    if not context.as_json and out.is_terminal and not text.endswith("\n"):
        out.write("\n")


def _write(out: Any, text: str, piece: str) -> str:
    """Write a piece and keep what is needed to know how the text ends."""
    if piece:
        out.write(piece)
    return (text + piece)[-1:]


def _prompts(context: Context, values: Mapping[str, Any]) -> Iterable[list[str]]:
    """Prompts in groups to be answered at once: those that have come."""
    prompt, file = values["prompt"], values["prompts"]
    if prompt is not None and file is not None:
        raise UsageError("both PROMPT and --prompts are given", "Give one of them.")
    how = _SHARED.read(values)
    if file is None and prompt != "-":
        for name in given(values, how):
            raise UsageError(
                f"--{name} is of no use without a prompt that is read",
                "Give --prompts, or - and the prompt on standard input.",
            )
    point_out_unused_pipe(context, prompt == "-" or file == "-")
    if file is None and prompt != "-":
        return [[prompt or ""]]

    from charlm.text.decoding import check_decoding, decoded
    from charlm.text.lines import line_batches, without_break

    check_decoding(**how)
    say = context.messages.say
    if file is not None:
        stream = open_or_standard_input(file, "the prompts")
        name = "standard input" if file == "-" else file
        batches = line_batches(stream, _TOGETHER, _CHARACTERS, name=name, say=say, **how)
        return ([without_break(line) for line in batch] for batch in batches)
    text = decoded(standard_input("the prompt"), name="standard input", say=say, **how)
    return [[without_break("".join(text))]]
