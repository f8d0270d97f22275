"""A learning curve as a table, a picture and a sentence: what more labels are worth."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.report.console import Messages
from charlm.report.drawing import legend, panels, style, write_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = {
    "transferred": "transferred", "from_scratch": "from scratch", "baseline": "TF-IDF baseline",
    "words": "words, unlabelled too", "together": "both together",
}  # fmt: skip
_FIGURES = {"macro_f1": "macro F1", "accuracy": "accuracy"}


def show_learning_curve(messages: Messages, curve: Mapping[str, Any]) -> None:
    """The table and the sentences on standard error."""
    points = curve["points"]
    ways = [way for way in WAYS if way in points[0]]
    for key, name in _FIGURES.items():
        rows = [
            (f"{point['labels']:,}", *(_with_interval(point[way][key]) for way in ways))
            for point in points
        ]
        messages.table(
            f"{name[0].upper()}{name[1:]} by the number of labels (mean of {curve['repeats']}, "
            f"{curve['level']:.0%} interval over seeds, {curve['n_test']:,} test texts):",
            rows,
            ("labels", *(WAYS[way] for way in ways)),
        )
    for point in points:
        for way, figures in point["ahead_of"].items():
            messages.say(_sentence(WAYS[ways[0]], WAYS[way], point["labels"], figures["macro_f1"]))
        for way, figures in point.get("together_ahead_of", {}).items():
            counting = "words" if "words" in ways else "baseline"
            both = f"{WAYS[ways[0]]} and {counting} together"
            messages.say(
                _sentence(both, f"{WAYS[way]} alone", point["labels"], figures["macro_f1"])
            )


def _with_interval(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} ± {found['high'] - found['mean']:.3f}"


def _sentence(ours: str, theirs: str, labels: int, found: Mapping[str, Any]) -> str:
    points = 100 * found["mean"]
    text = f"{labels:,} labels: {ours} {'loses to' if points < 0 else 'is ahead of'} {theirs} by "
    text += f"{abs(points):.1f} points of macro F1"
    if found["low"] is None:
        return f"{text} (one repeat)."
    sure = found["low"] > 0 or found["high"] < 0
    interval = f"{100 * found['low']:+.1f} to {100 * found['high']:+.1f}"
    return f"{text} ({interval}{'' if sure else ': may be chance'})."


def learning_curve_picture(curve: Mapping[str, Any]) -> "Figure":
    """Accuracy and macro F1 against the number of labels, with their intervals."""
    points = curve["points"]
    ways = [way for way in WAYS if way in points[0]]
    figure, found = panels([_FIGURES[key] for key in _FIGURES], panel=(3.9, 3.0))
    labels = [point["labels"] for point in points]
    with style():
        for axes, key in zip(found, _FIGURES, strict=True):
            lines = []
            for way in ways:
                values = [point[way][key] for point in points]
                lines += axes.plot(labels, [v["mean"] for v in values], marker="o", markersize=4)
                if values[0]["low"] is not None:
                    low, high = ([value[side] for value in values] for side in ("low", "high"))
                    axes.fill_between(labels, low, high, color=lines[-1].get_color(), alpha=0.15)
            axes.set_xscale("log")
            axes.set_xticks(labels, [f"{count:,}" for count in labels])
            axes.minorticks_off()
            axes.set_xlabel("labelled texts to learn from")
    legend(found[0], lines, [WAYS[way] for way in ways])
    return figure


def write_learning_curve(curve: Mapping[str, Any], folder: Path) -> list[Path]:
    """learning_curve.svg and .png in `folder`. MachineError."""
    paths = [folder / f"learning_curve{suffix}" for suffix in (".svg", ".png")]
    figure = learning_curve_picture(curve)
    for path in paths:
        write_picture(figure, path)
    return paths
