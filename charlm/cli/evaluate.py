"""charlm evaluate: the figures of a text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.adaptation import CACHE_STEPS, DYNAMIC_STEPS, TEMPERATURE
from charlm.cli.adapting_options import adapting_options, read_adapting
from charlm.cli.verbs import (
    Context,
    SharedSettings,
    checked,
    given,
    parameter,
    point_out_unused_pipe,
    setting_option,
    standard_input,
)
from charlm.errors import UsageError
from charlm.settings import Setting

_WINDOW = Setting("tokens a window, each from the empty state", least=1, most=1e9, none=True)
_WINDOWS = Setting("so many random windows instead of all", least=1, most=1e9, none=True)

_SHARED = SharedSettings(
    "corpus.encoding",
    "corpus.errors",
    "optimisation.precision",
    "optimisation.threads",
    "optimisation.device",
    "optimisation.seed",
    "optimisation.kernel",
)

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a run directory or exported file"), ...
    ),
    parameter(
        "texts",
        list[str] | None,
        typer.Argument(
            metavar="[TEXT ...]",
            help="files, folders or -; without any, the run's own test (or valid) part",
            show_default=False,
        ),
    ),
    setting_option("window", int, _WINDOW, None),
    setting_option("windows", int, _WINDOWS, None),
    setting_option("temperature", float, TEMPERATURE, None),
    parameter(
        "tune",
        bool,
        typer.Option(
            "--tune",
            help="choose the settings of --dynamic and --cache on the run's own valid text",
        ),
        False,
    ),
    *adapting_options(
        "go on learning from the text; figures beside",
        "what followed before counts more; figures beside",
        "counts of the run's own training text mixed in; figures beside",
    ),
    *_SHARED.options,
]


def evaluate(context: Context, values: Mapping[str, Any]) -> None:
    """Measure a model on a text, every token once.

    Example: charlm evaluate runs/notes other.txt --json
    """
    window = checked("--window", values["window"], int, _WINDOW)
    windows = checked("--windows", values["windows"], int, _WINDOWS)
    if windows is not None and window is None:
        raise UsageError("--windows needs --window N", "Give the length of a window.")
    temperature = checked("--temperature", values["temperature"], float, TEMPERATURE)
    shared = _SHARED.read(values)
    if values["seed"] is not None and windows is None:
        raise UsageError("--seed draws the random windows of --windows", "Give --windows too.")
    adapting = read_adapting(values)
    if values["tune"]:
        for name in given(values, [*DYNAMIC_STEPS, *CACHE_STEPS]):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"--tune chooses {option}, which is given", "Give one of them.")
    texts = values["texts"] or []
    for name in ("encoding", "errors"):
        if values[name] is not None and not texts:
            raise UsageError(f"--{name} is of no use without a text", "Name a text to measure on.")
    stdin = standard_input("the text") if "-" in texts else None
    point_out_unused_pipe(context, stdin is not None)

    from charlm import api

    model = api.load(values["run"])
    figures = model.evaluate(
        texts,
        window=window,
        windows=windows,
        temperature=temperature,
        tune=values["tune"],
        stdin=stdin,
        say=context.messages.say,
        **adapting,
        **shared,
    )
    if context.as_json:
        context.output.json(figures)
        return
    _show(context, figures)
    if limit := figures.get("limit"):
        context.messages.say(
            f"limit: {limit['bits_per_character']:.4f} bits per character, what the text's own "
            f"source needs; the gap is {limit['gap']:.1%}."
        )


def _show(context: Context, figures: Mapping[str, Any], prefix: str = "") -> None:
    for key, value in figures.items():
        if isinstance(value, Mapping):
            _show(context, value, f"{prefix}{key}.")
        else:
            shown = f"{value:.6g}" if isinstance(value, float) else f"{value}"
            context.output.line(f"{prefix}{key}\t{shown}")
