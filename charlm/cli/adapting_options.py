"""The options for what may stand beside a model, as several verbs have them."""

import inspect
from collections.abc import Mapping
from typing import Any

import typer

from charlm.adaptation import CacheSettings, CountSettings, DynamicSettings
from charlm.cli.verbs import given, parameter, settings_options
from charlm.errors import UsageError
from charlm.settings import settings_in

_KINDS = {"dynamic": DynamicSettings, "cache": CacheSettings, "counts": CountSettings}


def adapting_options(
    dynamic_help: str, cache_help: str, counts_help: str
) -> list[inspect.Parameter]:
    """--dynamic, --cache and --counts with the settings of each."""
    found = []
    for name, panel, help in (
        ("dynamic", "Dynamic evaluation", dynamic_help),
        ("cache", "Neural cache", cache_help),
        ("counts", "Counts of n-grams", counts_help),
    ):
        flag = typer.Option(f"--{name}", help=help, rich_help_panel=panel)
        found += [parameter(name, bool, flag, False), *settings_options(_KINDS[name], panel)]
    return found


def read_adapting(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that go with each of them, False where it is not given; UsageError for settings
    without it."""
    return {name: _read(name, kind, values) for name, kind in _KINDS.items()}


def _read(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    options = {field.name: field.option for field in settings_in(kind)}
    chosen = given(values, options)
    settings = kind(**chosen)
    if values[name]:
        return settings
    if chosen:
        option = options[next(iter(chosen))]
        raise UsageError(f"{option} belongs to --{name}, which is not given", f"Give --{name} too.")
    return False
