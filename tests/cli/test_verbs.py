"""How verbs are made: options from settings, values checked, ends turned into exit codes."""

import io
import os
import sys
from collections.abc import Callable

import pytest
import typer

from charlm import errors
from charlm.cli import verbs
from charlm.cli.main import app
from charlm.report.output import ClosedOutput
from charlm.settings import Setting

PROBABILITY = Setting("a probability", least=0, below=1, none=True)


def end_with(error: BaseException) -> tuple[int, str]:
    """The exit code and the message of a verb that raises `error`."""

    def function(context: verbs.Context, values: object) -> None:
        raise error

    small = typer.Typer()
    verbs.verb(small, "other", [])(lambda context, values: None)
    verbs.verb(small, "verb", [])(function)
    said = io.StringIO()
    before, sys.stderr = sys.stderr, said
    try:
        with pytest.raises(SystemExit) as ended:
            small(["verb"])
    finally:
        sys.stderr = before
    return int(ended.value.code or 0), said.getvalue()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CharlmError("what"), 1),
        (errors.MachineError("what"), 1),
        (errors.UsageError("what"), 2),
        (errors.DataError("what"), 3),
        (errors.RunError("what"), 4),
        (errors.DivergedError("what"), 5),
        (errors.Interrupted(2, "what"), 130),
        (errors.Interrupted(15, "what"), 143),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_carries_its_code(error: errors.CharlmError, code: int) -> None:
    error.hint = "what to do"
    said = "" if isinstance(error, errors.Interrupted) else "Error: "  # it is no error to stop
    assert end_with(error) == (code, f"{said}what\nwhat to do\n")


def test_ends_that_are_no_errors_of_ours() -> None:
    assert end_with(ClosedOutput()) == (0, "")
    assert end_with(KeyboardInterrupt()) == (130, "interrupted\n")
    code, said = end_with(OSError(28, "No space left on device", "/a/file"))
    assert (code, said) == (1, "Error: No space left on device: /a/file\n")


def test_message_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in end_with(errors.DataError("\x1b[31m"))[1]


def test_checked_gives_the_default_the_value_or_a_refusal() -> None:
    assert verbs.checked("--p", None, float, PROBABILITY, 0.25) == 0.25
    assert verbs.checked("--p", "0.5", float, PROBABILITY, 0.25) == 0.5
    assert verbs.checked("--p", "none", float, PROBABILITY, 0.25) is None
    with pytest.raises(errors.UsageError, match="--p is 1; needed: a number from 0 below 1"):
        verbs.checked("--p", "1", float, PROBABILITY)


def test_given_leaves_out_what_was_not() -> None:
    values = {"a": 0, "b": None, "c": "", "d": 1}
    assert verbs.given(values, ["a", "b", "c", "missing"]) == {"a": 0, "c": ""}


def unused_pipe(stdin: int, used: bool = False) -> str:
    said: list[str] = []

    class Messages:
        say: Callable[[str], None] = staticmethod(said.append)

    context = verbs.Context(None, Messages(), False, False)  # type: ignore[arg-type]
    before = sys.stdin
    with open(stdin, closefd=False) as sys.stdin:
        verbs.point_out_unused_pipe(context, used)
    sys.stdin = before
    return "".join(said)


def test_unused_pipe_is_one_that_has_something_in_it() -> None:
    read_end, write_end = os.pipe()
    assert unused_pipe(read_end) == ""  # nothing has come
    os.write(write_end, b"text")
    assert "`-`" in unused_pipe(read_end)
    assert unused_pipe(read_end, used=True) == ""
    os.close(write_end)
    os.close(read_end)
    null = os.open(os.devnull, os.O_RDONLY)
    assert unused_pipe(null) == ""
    os.close(null)


def test_installed_command_is_this_one() -> None:
    from importlib.metadata import entry_points

    from charlm.cli.main import main

    found = [entry for entry in entry_points(group="console_scripts") if entry.name == "charlm"]
    if not found:
        pytest.skip("charlm is imported from its folder here, not installed")
    assert found[0].load() is main
    assert app.info.name == "charlm"
