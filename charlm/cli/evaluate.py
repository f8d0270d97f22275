"""charlm evaluate: the figures of a text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm.adaptation import CacheSettings, DynamicSettings
from charlm.cli.verbs import (
    Context,
    SharedSettings,
    checked,
    given,
    parameter,
    point_out_unused_pipe,
    setting_option,
    settings_options,
    standard_input,
)
from charlm.errors import UsageError
from charlm.settings import Setting, settings_in

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

_LEARNING, _CACHE = "Dynamic evaluation", "Neural cache"

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
    parameter(
        "dynamic",
        bool,
        typer.Option(
            "--dynamic",
            help="go on learning from the text; figures beside",
            rich_help_panel=_LEARNING,
        ),
        False,
    ),
    *settings_options(DynamicSettings, _LEARNING),
    parameter(
        "cache",
        bool,
        typer.Option(
            "--cache",
            help="what followed before counts more; figures beside",
            rich_help_panel=_CACHE,
        ),
        False,
    ),
    *settings_options(CacheSettings, _CACHE),
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
    adapting = {
        name: _adapting(name, kind, values)
        for name, kind in (("dynamic", DynamicSettings), ("cache", CacheSettings))
    }
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
            _show(context, value, f"{key}.")
        else:
            shown = f"{value:.6g}" if isinstance(value, float) else f"{value}"
            context.output.line(f"{prefix}{key}\t{shown}")


def _adapting(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    """The settings that go with --dynamic or --cache; False without it."""
    options = {field.name: field.option for field in settings_in(kind)}
    chosen = given(values, options)
    settings = kind(**chosen)
    if values[name]:
        return settings
    if chosen:
        option = options[next(iter(chosen))]
        raise UsageError(f"{option} belongs to --{name}, which is not given", f"Give --{name} too.")
    return False
