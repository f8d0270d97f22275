"""How a verb is made: its options, what every verb has in common, and how it ends.

A verb is a function of the values given on the command line. Options of settings
(`charlm.settings.Setting`) are made from the settings themselves, so that an option, its
help, its range and its TOML key cannot come apart.
"""

import inspect
import os
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from charlm.config import SETTINGS
from charlm.errors import (
    CharlmError,
    DataError,
    Interrupted,
    MachineError,
    UsageError,
    is_out_of_memory,
)
from charlm.report.console import Messages, error_text
from charlm.report.output import ClosedOutput, Output
from charlm.settings import BadValue, Setting, settings_in
from charlm.storage.places import require_file_place

COMMON = "Common"


@dataclass(frozen=True)
class Context:
    """What every verb gets beside its own values."""

    output: Output
    messages: Messages
    as_json: bool
    debug: bool


def parameter(name: str, kind: Any, info: Any, default: Any = None) -> inspect.Parameter:
    """One option or argument of a verb."""
    annotation = Annotated[kind, info]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def setting_option(
    name: str, kind: type, setting: Setting, default: Any, panel: str | None = None
) -> inspect.Parameter:
    """The option of a setting. Its value stays a word: the setting reads and checks it."""
    option = "--" + name.replace("_", "-")
    help = f"{setting.help}; {setting.needed(kind)} (default: {_shown(default)})"
    if kind is bool:
        names = (f"{option}/--no-{option[2:]}",) if not setting.auto or default else (option,)
        info = typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)
        return parameter(name, bool | None, info)
    metavar = {int: "N", float: "X", str: "TEXT"}[kind]
    if setting.choices:
        metavar = "NAME"
    info = typer.Option(
        option, help=help, metavar=metavar, rich_help_panel=panel, show_default=False
    )
    return parameter(name, str | None, info)


def settings_options(settings: type, panel: str) -> list[inspect.Parameter]:
    """The options of all settings of a dataclass."""
    return [
        setting_option(field.name, field.kind, field.setting, field.default, panel)
        for field in settings_in(settings)
    ]


def _shown(default: Any) -> str:
    if isinstance(default, float):
        return f"{default:g}"
    return "none" if default is None else str(default)


_COMMON_OPTIONS = (
    parameter(
        "quiet",
        bool,
        typer.Option("--quiet", "-q", help="say nothing but errors", rich_help_panel=COMMON),
        False,
    ),
    parameter(
        "verbose",
        bool,
        typer.Option("--verbose", "-v", help="say more", rich_help_panel=COMMON),
        False,
    ),
    parameter(
        "debug",
        bool,
        typer.Option("--debug", help="show tracebacks", rich_help_panel=COMMON),
        False,
    ),
)
_JSON_OPTION = parameter(
    "as_json",
    bool,
    typer.Option("--json", help="results as JSON on standard output", rich_help_panel=COMMON),
    False,
)


def verb(
    app: typer.Typer,
    name: str,
    parameters: Iterable[inspect.Parameter],
    json: bool = True,
) -> Callable[[Callable[[Context, Mapping[str, Any]], None]], None]:
    """Register a function as `charlm NAME`; its docstring is the help text."""

    def register(function: Callable[[Context, Mapping[str, Any]], None]) -> None:
        common = (*_COMMON_OPTIONS, *((_JSON_OPTION,) if json else ()))
        every = [*parameters, *common]

        def command(**values: Any) -> None:
            quiet, verbose, debug = (values.pop(key) for key in ("quiet", "verbose", "debug"))
            as_json = values.pop("as_json", False)
            context = Context(Output(), Messages(quiet, verbose), as_json, debug)
            raise typer.Exit(_run(function, context, values))

        command.__name__ = name.replace("-", "_")
        command.__doc__ = function.__doc__
        command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in every}
        app.command(name)(command)

    return register


def _run(
    function: Callable[[Context, Mapping[str, Any]], None],
    context: Context,
    values: Mapping[str, Any],
) -> int:
    """Run a verb and turn how it ended into an exit code."""
    begin = time.monotonic()
    try:
        signal.signal(signal.SIGTERM, _terminated)
        function(context, values)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; on macOS bytes
        mebibytes = memory / (2**20 if sys.platform == "darwin" else 2**10)
        context.messages.detail(
            f"took {time.monotonic() - begin:.1f} seconds and {mebibytes:.0f} MiB of memory"
        )
        return 0
    except ClosedOutput:
        return 0
    except Interrupted as error:
        context.messages.write(f"{error.what}\n{error.hint}".strip())
        return error.exit_code
    except CharlmError as error:
        return _fail(context, error, error)
    except KeyboardInterrupt:
        context.messages.write("interrupted")
        return 130
    except OSError as error:
        what = f"{error.strerror or error}: {error.filename or 'the file system'}"
        return _fail(context, MachineError(what), error)
    except Exception as error:
        if is_out_of_memory(error):
            return _fail(context, _too_large(), error)
        what = f"charlm has a bug, sorry: {type(error).__name__}"
        hint = "Run it again with --debug and report what it prints (it may show your text)."
        return _fail(context, CharlmError(what, hint), error)


def _too_large() -> MachineError:
    return MachineError(
        "there is not enough memory for this",
        "`charlm train --dry-run` estimates it; a smaller --hidden-size, --layers, --batch-size "
        "or --bptt lowers it.",
    )


def _terminated(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a verb like Ctrl-C, so that temporary files go with it."""
    raise Interrupted(number, "terminated")


def _fail(context: Context, told: CharlmError, error: BaseException) -> int:
    if context.debug:
        import traceback

        context.messages.write("".join(traceback.format_exception(error)).rstrip())
    context.messages.write(error_text(told.what, told.hint))
    return told.exit_code


def given(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of `names` that were given on the command line."""
    return {name: values[name] for name in names if values.get(name) is not None}


def checked(option: str, value: Any, kind: type, setting: Setting, default: Any = None) -> Any:
    """The value given for an option, checked; its default where none was given."""
    if value is None:
        return default
    try:
        return setting.read(value, kind)
    except BadValue as error:
        raise UsageError(f"{option} is {value}; needed: {error}") from error


class SharedSettings:
    """Settings of the configuration that a verb offers which trains nothing."""

    def __init__(self, *keys: str, panel: str | None = None) -> None:
        self._fields = [SETTINGS[key] for key in keys]
        self.options = [
            setting_option(f.name, f.kind, f.setting, f.default, panel) for f in self._fields
        ]

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Each by its name, checked; its default where it was not given."""
        return {
            f.name: checked(f.option, values[f.name], f.kind, f.setting, f.default)
            for f in self._fields
        }


def file_or_beside(given: Path | None, run: Path, ending: str) -> Path:
    """The file that was named, else the one beside the run that has its name and this ending.

    UsageError where no file can be put there.
    """
    named = run if run.name not in ("", "..") else run.resolve()
    place = given or named.with_name(named.name + ending)
    if given is not None or named.exists():
        require_file_place(place)
    return place


def standard_input(what: str) -> Any:
    """The bytes of standard input; UsageError where it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            f"{what} should come from standard input, but that is a terminal",
            "Pipe text in, or name a file.",
        )
    return sys.stdin.buffer


def open_or_standard_input(file: str, what: str) -> Any:
    """The bytes of a file, or of standard input for `-`. UsageError, DataError."""
    if file == "-":
        return standard_input(what)
    try:
        return open(file, "rb")
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}"
        raise DataError(what, "Check the path.") from error


def point_out_unused_pipe(context: Context, used: bool) -> None:
    """Say so if something is piped in that nobody asked to read."""
    if used or sys.stdin is None:
        return
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
        waiting = bool(select.select([sys.stdin], [], [], 0)[0])
    except (OSError, ValueError):
        return
    if stat.S_ISFIFO(mode) and waiting:
        context.messages.say("Something is piped in, but not read: give `-` to read it.")
