"""The course of training as pictures: of one run, and of several beside each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from charlm.errors import RunError
from charlm.report.drawing import legend, logarithmic, panels, style
from charlm.runs.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOGARITHMIC_FROM = 30.0  # largest to smallest: then the axis is logarithmic


class Panel(NamedTuple):
    """What one panel shows: (split, key of metrics.jsonl, its name)."""

    title: str
    curves: Sequence[tuple[str, str, str]]


PANELS = (
    Panel(
        "loss (nats per token)",
        (("train", "nats_per_token", "training"), ("valid", "nats_per_token", "validation")),
    ),
    Panel(
        "validation (bits per character)", (("valid", "bits_per_character", "bits per character"),)
    ),
    Panel(
        "loss (nats per text)",
        (("train", "nats_per_text", "training"), ("valid", "nats_per_text", "validation")),
    ),
    Panel(
        "validation (shares)",
        (("valid", "accuracy", "accuracy"), ("valid", "macro_f1", "macro F1")),
    ),
    Panel("learning rate", (("train", "lr", "learning rate"),)),
    Panel("norm of the gradient, uncut", (("train", "gradient_norm", "norm of the gradient"),)),
    Panel(
        "shares",
        (
            ("train", "clipped_share", "of steps that were clipped"),
            ("train", "saturated_share", "of gates that are saturated"),
        ),
    ),
    Panel(
        "of the gradient, left after a window",
        (("train", "gradient_carried", "of the gradient"),),
    ),
)


def shown_panels(history: History) -> list[Panel]:
    """The panels for which the run has figures."""
    found = []
    for panel in PANELS:
        curves = [curve for curve in panel.curves if history.series(curve[0], "step", curve[1])[0]]
        if curves:
            found.append(Panel(panel.title, curves))
    return found


def run_curves(history: History, only: Panel | None = None) -> "Figure":
    """Loss, bits per character, learning rate and gradient against the steps of training.

    only: a single one of `shown_panels`. RunError where nothing has been reported.
    """
    shown = shown_panels(history) if only is None else [only]
    if not shown:
        raise RunError(
            f"{history.path} has reported nothing yet", "Train it further: --resume goes on."
        )
    figure, found = panels([panel.title for panel in shown])
    with style():
        for axes, panel in zip(found, shown, strict=True):
            lines, every = [], []
            for split, key, _ in panel.curves:
                x, y = history.series(split, "step", key)
                # A single evaluation is a point, and no line.
                lines += axes.plot(x, y, marker="o" if split == "valid" else "", markersize=3)
                every += y
            if min(every) > 0 and max(every) / min(every) > _LOGARITHMIC_FROM:
                logarithmic(axes)
            names = [name for _, _, name in panel.curves]
            if any(name not in panel.title for name in names):
                legend(axes, lines, names)
            axes.set_xlabel("step")
    return figure


def compared_curves(histories: Sequence[History]) -> "Figure":
    """The validation figures of several runs against time and against steps.

    Bits per character, which compare between tokenizers; nats per token where a run has none, and
    the accuracy where all are classifiers. RunError where nothing was measured.
    """
    keys = {
        "bits_per_character": "bits per character",
        "nats_per_token": "nats per token",
        "accuracy": "accuracy",
    }
    common = [
        key for key in keys if all(history.series("valid", "step", key)[0] for history in histories)
    ]
    if not common:
        raise RunError(
            "these runs have no figure on validation texts in common",
            "Compare runs of one kind, each with a validation text.",
        )
    key = common[0]
    axes_of = {"seconds": "seconds of training", "step": "steps"}
    figure, found = panels([f"validation, {keys[key]}"] * len(axes_of))
    names = [str(history.path) for history in histories]
    with style():
        for axes, (x_key, x_name) in zip(found, axes_of.items(), strict=True):
            lines = []
            for number, history in enumerate(histories):
                x, y = history.series("valid", x_key, key)
                dashes = ("-", "--", ":", "-.")[number // 8 % 4]  # after eight colours
                lines += axes.plot(x, y, marker="o", markersize=3, linestyle=dashes)
            axes.set_xlabel(x_name)
        legend(found[0], lines, names)
    return figure
