"""The options by which finetune-classify is asked for a learning curve."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from charlm.cli.verbs import checked, parameter, setting_option
from charlm.errors import UsageError
from charlm.settings import Setting

if TYPE_CHECKING:
    from charlm.classifying.request import CurveRequest

_PANEL = "Learning curve"
_COUNT = Setting("labels", least=2, most=1e9)
_FRACTION = Setting("a share of the labels", above=0, most=1)
_REPEATS = Setting(
    "trainings for each number of labels, with other texts and seeds", least=1, most=1000, none=True
)
_DEFAULT_REPEATS = 5


def _several(name: str, metavar: str, help: str) -> Any:
    info = typer.Option(
        f"--{name.replace('_', '-')}", metavar=metavar, help=help, rich_help_panel=_PANEL
    )
    return parameter(name, list[str] | None, info)


CURVE = [
    _several(
        "label_count",
        "N",
        "also learn from N of the labels alone, transferred and from scratch; repeatable, or a,b,c",
    ),
    _several("label_fraction", "P", "the same with a share of the labels, from 0 to 1"),
    setting_option("repeats", int, _REPEATS, _DEFAULT_REPEATS, _PANEL),
]


def curve_of(values: Mapping[str, Any]) -> "CurveRequest | None":
    """The learning curve that was asked for, if any. UsageError: a number out of its range."""
    repeats = checked("--repeats", values["repeats"], int, _REPEATS)
    counts = _listed("--label-count", values["label_count"], int, _COUNT)
    fractions = _listed("--label-fraction", values["label_fraction"], float, _FRACTION)
    if not counts and not fractions:
        if repeats is not None:
            raise UsageError(
                "--repeats belongs to --label-count and --label-fraction, and none is given",
                "Say how many labels to learn from.",
            )
        return None
    if values["dry_run"]:
        raise UsageError("--dry-run shows one training, and no learning curve", "Leave one out.")
    from charlm.classifying.request import CurveRequest

    return CurveRequest(counts, fractions, repeats or _DEFAULT_REPEATS)


def _listed(option: str, given: list[str] | None, kind: type, setting: Setting) -> list[Any]:
    words = [word for each in given or () for word in each.split(",")]
    return [checked(option, word, kind, setting) for word in words]
