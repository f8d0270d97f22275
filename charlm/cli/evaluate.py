"""charlm evaluate: the figures of a text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.cli.verbs import (
    Context,
    SharedSettings,
    checked,
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
    shared = _SHARED.read(values)
    if values["seed"] is not None and windows is None:
        raise UsageError("--seed draws the random windows of --windows", "Give --windows too.")
    texts = values["texts"] or []
    for name in ("encoding", "errors"):
        if values[name] is not None and not texts:
            raise UsageError(f"--{name} is of no use without a text", "Name a text to measure on.")
    stdin = standard_input("the text") if "-" in texts else None
    point_out_unused_pipe(context, stdin is not None)

    from charlm import api

    model = api.load(values["run"])
    figures = model.evaluate(
        texts, window=window, windows=windows, stdin=stdin, say=context.messages.say, **shared
    )
    if context.as_json:
        context.output.json(figures)
        return
    for key, value in figures.items():
        shown = f"{value:.6g}" if isinstance(value, float) else f"{value}"
        context.output.line(f"{key}\t{shown}")
