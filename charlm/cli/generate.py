"""charlm generate: prompts in, samples out."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import (
    Context,
    given,
    parameter,
    point_out_unused_pipe,
    settings_options,
    standard_input,
)
from charlm.errors import DataError, UsageError
from charlm.generation.settings import GenerationSettings, SamplingSettings

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "prompt",
        str | None,
        typer.Argument(
            metavar="[PROMPT]", help="what the text starts with; - reads it", show_default=False
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
    parameter("no_echo", bool, typer.Option("--no-echo", help="leave the prompt out"), False),
]

SEPARATOR = "---"  # a line between samples


def generate(context: Context, values: Mapping[str, Any]) -> None:
    """Write new text.

    Example: charlm generate runs/notes "The patient " --length 300 --temperature 0.8
    """
    sampling = given(values, [field.name for field in fields(SamplingSettings)])
    rest = given(values, ["length", "length_unit", "num_samples", "seed"])
    settings = GenerationSettings(
        sampling=SamplingSettings(**sampling), stop=tuple(values["stop"] or ()), **rest
    )
    prompts = _prompts(context, values)

    from charlm import api

    model = api.load(values["run"])
    out, wrote = context.output, False
    text = ""
    for prompt in prompts:
        begun = False
        for piece in model.pieces(prompt, settings):
            sample = piece.sample
            if context.as_json:
                if sample is not None:
                    echo = "" if values["no_echo"] else prompt
                    out.json(
                        {
                            "prompt": prompt,
                            "text": echo + sample.text,
                            "tokens": sample.tokens,
                            "nats_per_token": sample.nats_per_token,
                            "finish": sample.finish,
                        }
                    )
                continue
            if not begun:
                if wrote:
                    # A separator stands on a line of its own.
                    out.write(("" if text.endswith("\n") else "\n") + SEPARATOR + "\n")
                begun, wrote, text = True, True, ""
                if not values["no_echo"]:
                    text = _write(out, text, prompt)
            text = _write(out, text, piece.text)
            if sample is not None:
                begun = False
    if not context.as_json and out.is_terminal and not text.endswith("\n"):
        out.write("\n")


def _write(out: Any, text: str, piece: str) -> str:
    """Write a piece and keep what is needed to know how the text ends."""
    if piece:
        out.write(piece)
    return (text + piece)[-1:]


def _prompts(context: Context, values: Mapping[str, Any]) -> Iterator[str] | list[str]:
    prompt, file = values["prompt"], values["prompts"]
    if prompt is not None and file is not None:
        raise UsageError("both PROMPT and --prompts are given", "Give one of them.")
    point_out_unused_pipe(context, prompt == "-" or file == "-")
    if file is not None:
        stream = standard_input("the prompts") if file == "-" else _open(file)
        return _lines(context, stream, file)
    if prompt == "-":
        raw = standard_input("the prompt").read()
        lines = "".join(_lines(context, io.BytesIO(raw), "standard input", keep_ends=True))
        return [lines.removesuffix("\n")]
    return [prompt or ""]


def _open(file: str) -> Any:
    try:
        return open(file, "rb")
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}", "Check the path.") from error


def _lines(context: Context, stream: Any, name: str, keep_ends: bool = False) -> Iterator[str]:
    from charlm.text.lines import read_lines

    for line in read_lines(stream, name=name, say=context.messages.say):
        yield line if keep_ends else line.removesuffix("\n")
