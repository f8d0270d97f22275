"""How pictures are drawn: one look for all, the same bytes each time, as SVG or PNG.

A picture is a matplotlib Figure made by `panels`. What a person named (a run, a class, a text)
may stand in it: nothing in it is read as a formula or as markup.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.errors import UsageError
from charlm.report.output import visible
from charlm.storage.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
INK = "#33383f"  # text and axes; inside a page its own text colour takes the place
PAPER = "#ffffff"
# Told apart by most eyes, on light and on dark (after Okabe & Ito 2008, at middling lightness).
COLOURS = ("#2f7fc1", "#d9621e", "#1f9d77", "#c2579a", "#b98a00", "#7a6fd0", "#8a8f98", "#4fa8d8")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "charlm",
    "svg.fonttype": "none",  # letters stay letters: small, and they can be searched
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9,
    "axes.facecolor": "none",
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.formatter.use_mathtext": False,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color",
         "grid.color"),
        INK,
    ),
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Everything drawn or written inside looks alike."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context(_STYLE | {"axes.prop_cycle": cycler(color=COLOURS)}):
        yield


def panels(
    titles: Sequence[str], columns: int = 2, panel: tuple[float, float] = (3.9, 2.5)
) -> tuple["Figure", list["Axes"]]:
    """A figure of one panel a title, `columns` beside each other; inches a panel."""
    from matplotlib.figure import Figure

    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    with style():
        figure = Figure(figsize=(panel[0] * columns, panel[1] * rows))
        found = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, title in zip(found, titles, strict=False):
            axes.set_title(drawable(title))
            axes.grid(True)
        for axes in found[len(titles) :]:
            axes.remove()
    return figure, found[: len(titles)]


def logarithmic(axes: "Axes") -> None:
    """A logarithmic axis of values; its numbers are plain ones, as nothing is read as a formula."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def drawable(name: str) -> str:
    """A name as a picture can hold it: a file's may be no UTF-8."""
    return visible(name).encode("utf-8", "replace").decode("utf-8")


def legend(axes: "Axes", lines: Sequence[Any], names: Sequence[str]) -> None:
    """Name the lines, whatever the names are made of."""
    with style():
        axes.legend(lines, [drawable(name) for name in names], fontsize=8)


def check_picture(path: Path) -> None:
    """UsageError for a file name that is no picture's."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path} is to be a picture, and its name ends otherwise",
            f"Let it end with {' or '.join(SUFFIXES)}.",
        )


def write_picture(figure: "Figure", path: Path) -> None:
    """Put the picture into a file, SVG or PNG by its name. UsageError, MachineError."""
    check_picture(path)
    write_atomically(path, _drawn(figure, path.suffix.lower()[1:], PAPER))


def inline_svg(figure: "Figure", name: str, description: str) -> str:
    """The picture as an <svg> element of a page, in the page's text colour, on its ground.

    name: in front of its ids, of which a page must not have two.
    """
    import html

    svg = _drawn(figure, "svg", "none").decode("utf-8")
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))

    def identity(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    def tag(match: re.Match[str]) -> str:
        attributes = re.sub(r' id="([^"]*)"', identity, match[0].replace(INK, "currentColor"))
        return re.sub(r'(url\(|href=")#', rf"\1#{name}-", attributes)

    svg = re.sub(r"<[^<>]+>", tag, svg).strip()
    opening, rest = svg.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{html.escape(description)}">{rest}'


def _drawn(figure: "Figure", kind: str, paper: str) -> bytes:
    file = io.BytesIO()
    # No date and no version: the same picture is the same file.
    nothing = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}[kind]
    with style(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font has not is drawn as a box
        figure.savefig(
            file,
            format=kind,
            dpi=150,
            metadata=dict.fromkeys(nothing),
            facecolor=paper,
        )
    return file.getvalue()
