"""The command `charlm`."""

import contextlib
import os
import sys
from typing import Annotated, NoReturn

import typer

from charlm import __version__, launched
from charlm.cli import (
    audit,
    classify,
    compare,
    correct,
    doctor,
    embed,
    evaluate,
    export,
    finetune_classify,
    forecast,
    generate,
    gradients,
    info,
    look,
    plot,
    quantise,
    report,
    score,
    train,
    verify,
)
from charlm.cli.verbs import verb
from charlm.errors import MachineError
from charlm.report.console import Messages, error_text, leave_a_lost_terminal
from charlm.report.output import ClosedOutput, Output

app = typer.Typer(
    name="charlm",
    help="Recurrent language models on your own text, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        Output().line(f"charlm {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Start with: charlm train TEXT --out runs/mine, then: charlm generate runs/mine"
)
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


verb(app, "train", train.PARAMETERS)(train.train)
verb(app, "generate", generate.PARAMETERS)(generate.generate)
verb(app, "evaluate", evaluate.PARAMETERS)(evaluate.evaluate)
verb(app, "score", score.PARAMETERS)(score.score)
verb(app, "correct", correct.PARAMETERS)(correct.correct)
verb(app, "look", look.PARAMETERS)(look.look)
verb(app, "quantise", quantise.PARAMETERS)(quantise.quantise)
verb(app, "forecast", forecast.PARAMETERS)(forecast.forecast)
verb(app, "finetune-classify", finetune_classify.PARAMETERS)(finetune_classify.finetune_classify)
verb(app, "classify", classify.PARAMETERS)(classify.classify)
verb(app, "embed", embed.PARAMETERS)(embed.embed)
verb(app, "info", info.PARAMETERS)(info.info)
verb(app, "export", export.PARAMETERS)(export.export)
verb(app, "plot", plot.PARAMETERS)(plot.plot)
verb(app, "compare", compare.PARAMETERS)(compare.compare)
verb(app, "verify", verify.PARAMETERS)(verify.verify)
verb(app, "doctor", doctor.PARAMETERS)(doctor.doctor)
verb(app, "gradients", gradients.PARAMETERS)(gradients.gradients)
verb(app, "report", report.PARAMETERS)(report.report)
verb(app, "audit", audit.PARAMETERS)(audit.audit)


def main() -> None:
    """Entry point of the installed command and of `python -m charlm`."""
    try:
        _run()
    except SystemExit as ended:
        if not launched.several():
            raise
        _leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    if launched.several():
        _leave(0)


def _leave(code: int) -> NoReturn:
    """End one of several processes without Python's own tidying up.

    Threads of gloo may outlive its connections and still hold tensors: freed by them while the
    interpreter is taken down, these end a process that is done with SIGABRT, and with it torchrun.
    """
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(code)


def _run() -> None:
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except SystemExit as ended:
        # Typer writes the help texts itself, and ends with 1 where their reader has gone.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
    except (BrokenPipeError, ClosedOutput):
        sys.stdout = None  # nothing is flushed again at the exit
    except (OSError, MachineError) as error:
        sys.stdout = None
        reason = error.strerror if isinstance(error, OSError) else error
        Messages().write(error_text(f"the text could not be written: {reason}", ""))
        sys.exit(1)
    finally:
        leave_a_lost_terminal()
