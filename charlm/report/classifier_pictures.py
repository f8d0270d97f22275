"""A classifier in pictures: what it takes for what, and whether it is as sure as it is right."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.report.drawing import COLOURS, INK, PAPER, legend, panels, style, write_picture
from charlm.report.output import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CLASSES = 60  # shown: of more, those with the most wrong answers
_LONGEST_NAME = 26  # characters of a class
_NUMBERS_UP_TO = 30  # classes: then the cells have no numbers


def shortened(name: str) -> str:
    """A class's name on one line, cut where it is long."""
    name = one_line(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def confusion_matrix(per_class: Mapping[str, Any]) -> tuple[list[str], list[list[int]]]:
    """Classes, and how many texts of each (rows) were answered as each (columns).

    Of more than _MOST_CLASSES classes, those that most wrong answers are about.
    """
    wrong = dict.fromkeys(per_class, 0)
    for name, figures in per_class.items():
        for other, count in figures["taken_for"].items():
            wrong[name] += count
            wrong[other] += count
    shown = sorted(per_class, key=lambda name: -wrong[name])[:_MOST_CLASSES]
    names = [name for name in per_class if name in set(shown)]
    rows = []
    for name in names:
        taken = dict(per_class[name]["taken_for"])
        taken[name] = per_class[name]["n"] - sum(taken.values())
        rows.append([taken.get(other, 0) for other in names])
    return names, rows


def confusion_picture(per_class: Mapping[str, Any]) -> "Figure":
    """The confusion matrix: a row a class, coloured by the share of its texts."""
    from matplotlib.colors import LinearSegmentedColormap

    names, counts = confusion_matrix(per_class)
    size = len(names)
    side = max(3.2, 0.34 * size if size <= _NUMBERS_UP_TO else 0.2 * size) + 1.6
    of_all = f"{size} of {len(per_class)} classes" if size < len(per_class) else "answers"
    figure, (axes,) = panels([of_all], panel=(side, side))
    shares = [
        [count / max(1, per_class[name]["n"]) for count in row]
        for name, row in zip(names, counts, strict=True)
    ]
    letters = 8.0 if size <= 15 else 6.5
    with style():
        colours = LinearSegmentedColormap.from_list("shares", [PAPER, COLOURS[0]])
        axes.grid(False)
        axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="equal")
        labels = [shortened(name) for name in names]
        axes.set_xticks(range(size), labels, rotation=90, fontsize=letters)
        axes.set_yticks(range(size), labels, fontsize=letters)
        axes.set_xlabel("answer")
        axes.set_ylabel("class")
        if size <= _NUMBERS_UP_TO:
            for row in range(size):
                for column in range(size):
                    if counts[row][column]:
                        colour = PAPER if shares[row][column] > 0.6 else INK
                        axes.text(column, row, f"{counts[row][column]}", color=colour,
                                  ha="center", va="center", fontsize=letters)  # fmt: skip
    return figure


def reliability_picture(calibration: Mapping[str, Any]) -> "Figure":
    """How often answers of each confidence are right, before and after the temperature."""
    figure, (axes, amounts) = panels(["right answers by confidence", "texts by confidence"])
    with style():
        (ideal,) = axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1)
        lines, names = [ideal], ["as it should be"]
        for name, marker in (("before", "s"), ("after", "o")):
            bins = calibration["reliability"][name]
            x = [row["confidence"] for row in bins]
            lines += axes.plot(x, [row["accuracy"] for row in bins], marker=marker, markersize=4)
            amounts.plot(x, [row["n"] for row in bins], marker=marker, markersize=4)
            names.append(f"{name} (error {calibration[name]:.3f})")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        amounts.set_xlim(0, 1)
        amounts.set_ylim(bottom=0)
        for each in (axes, amounts):
            each.set_xlabel("probability of the answer")
        axes.set_ylabel("share that is right")
    legend(axes, lines, names)
    return figure


def write_classifier_pictures(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """confusion and reliability as SVG and PNG in `folder`; what there is nothing for is left out.

    MachineError.
    """
    figures = summary["test"] or summary["valid"]
    drawn: dict[str, Figure] = {}
    if figures is not None:
        drawn["confusion"] = confusion_picture(figures["per_class"])
    if summary["calibration"] is not None:
        drawn["reliability"] = reliability_picture(summary["calibration"])
    written = []
    for name, figure in drawn.items():
        for suffix in (".svg", ".png"):
            written.append(folder / f"{name}{suffix}")
            write_picture(figure, written[-1])
    return written
