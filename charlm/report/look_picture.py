"""What a model knows of a text, as SVG: coloured text, and the activity of units under it."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.report.coloured_text import (
    Cell,
    Row,
    full_colour,
    ink_on,
    rows,
    surprisal_colour,
    unit_in_words,
)
from charlm.storage.atomic import write_atomically

if TYPE_CHECKING:
    from charlm.evaluation.looking import Look

_COLUMNS = 100
_WIDE, _HIGH, _LOW = 8.4, 20, 9  # of a column; of a row of text, and of one of activity
_MARGIN = 12
_STEPS = 24  # of the scale


def write_svg(look: "Look", path: Path) -> None:
    """Puts the picture on disk; MachineError."""
    write_atomically(path, svg(look).encode("utf-8"))


def svg(look: "Look") -> str:
    """The picture: each piece says its bits, and what else was expected, where a mouse rests."""
    drawn = list(rows(look, _COLUMNS))
    label = max(len(row.label) for row in drawn)
    left = _MARGIN + (label + 1) * _WIDE if label else _MARGIN
    widest = max(sum(cell.width for cell in row.cells) for row in drawn)
    width = left + max(widest, _STEPS + 24) * _WIDE + _MARGIN
    parts, y = list(_scale(look, left)), float(_MARGIN + 2 * _HIGH)
    for seen in look.units:
        parts.append(_words(left, y + 14, unit_in_words(seen)))
        y += _HIGH
    for row in drawn:
        parts += _row(row, left, y)
        y += _HIGH if row.is_text else _LOW
    height = y + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="monospace" font-size="14">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _scale(look: "Look", left: float) -> Iterator[str]:
    most, y = full_colour(look), _MARGIN
    yield _words(left, y + 14, "0 bits")
    for step in range(_STEPS):
        colour = _colour(surprisal_colour(step / (_STEPS - 1)))
        x = left + (7 + step) * _WIDE
        yield f'<rect x="{x:g}" y="{y}" width="{_WIDE}" height="{_HIGH - 4}" fill="{colour}"/>'
    yield _words(left + (8 + _STEPS) * _WIDE, y + 14, f"{most:.1f} bits and more")


def _row(row: Row, left: float, y: float) -> Iterator[str]:
    if row.label:
        yield _words(_MARGIN, y + 8, row.label, 9)
    x = left
    for cell in row.cells:
        yield _cell(cell, x, y, _HIGH if row.is_text else _LOW)
        x += cell.width * _WIDE


def _cell(cell: Cell, x: float, y: float, height: int) -> str:
    width = cell.width * _WIDE
    box = (
        f'<g><title>{escape(cell.tip)}</title><rect x="{x:g}" y="{y:g}" width="{width:g}" '
        f'height="{height}" fill="{_colour(cell.colour)}"/>'
    )
    text = (
        _words(x, y + 15, cell.text, ink=_colour(ink_on(cell.colour))) if cell.text.strip() else ""
    )
    return f"{box}{text}</g>"


def _words(x: float, y: float, text: str, size: int = 14, ink: str = "#000") -> str:
    # A space at either end would go, and one of several.
    kept = escape(text.replace(" ", "\u00a0"))
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{ink}">{kept}</text>'


def _colour(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
