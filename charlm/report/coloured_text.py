"""A text in coloured pieces, with rows of colour under it: what is drawn, wherever it is drawn.

Lines are cut at line breaks and where they are full. Under each line stands a row for every gate
and state of the units that are looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from charlm.report.output import visible

if TYPE_CHECKING:
    from charlm.evaluation.looking import Look, Piece, UnitLook

Colour = tuple[int, int, int]

_WHITE, _ORANGE, _RED = (255, 255, 255), (253, 174, 97), (165, 0, 38)
_BLUE = (49, 54, 149)
_LEAST_FULL = 4.0  # bits: a text that is well known should not look surprising
_SHOWN = {"\n": "↵", "\t": "→"}


@dataclass(frozen=True)
class Cell:
    """A piece of a row: `width` columns of one colour, with a text in it and one beside it."""

    text: str
    width: int
    colour: Colour
    tip: str


@dataclass(frozen=True)
class Row:
    """A line of a picture: what it is, and its cells from left to right."""

    label: str
    cells: list[Cell]
    is_text: bool


def full_colour(look: "Look") -> float:
    """The bits that have the darkest colour: what two pieces in a hundred cost at least."""
    bits = sorted(piece.bits for piece in look.pieces)
    return max(_LEAST_FULL, bits[int(0.98 * (len(bits) - 1))])


def rows(look: "Look", width: int) -> Iterator[Row]:
    """The rows of the picture, in lines of at most `width` columns where pieces allow it."""
    most = full_colour(look)
    cells = [
        Cell(text, cell_len(text), surprisal_colour(piece.bits / most), described(piece))
        for piece in look.pieces
        for text in [_on_one_line(piece.text)]
    ]
    for begin, end in _lines(look.pieces, cells, width):
        yield Row("", cells[begin:end], True)
        for seen in look.units:
            for name, values in seen.values.items():
                size = max(1.0, float(abs(values).max()))
                yield Row(
                    f"{seen.unit.layer}:{seen.unit.number} {name}",
                    [
                        Cell("", cell.width, signed_colour(value / size), f"{name} {value:.2f}")
                        for cell, value in zip(cells[begin:end], values[begin:end], strict=True)
                    ],
                    False,
                )


def unit_in_words(seen: "UnitLook") -> str:
    """Which unit it is, and what it was found by."""
    words = f"layer {seen.unit.layer} unit {seen.unit.number}"
    if seen.follows is None:
        return words
    return f"{words} follows {visible(seen.follows)}: r = {seen.correlation:.2f}"


def described(piece: "Piece") -> str:
    """A piece in words: its bits, and what else was expected."""
    others = "".join(f"\n{p:.3f}  {_on_one_line(text)}" for text, p in piece.alternatives)
    return f"{_on_one_line(piece.text)}  {piece.bits:.2f} bits{others}"


def _on_one_line(text: str) -> str:
    return visible("".join(_SHOWN.get(character, character) for character in text))


def _lines(
    pieces: Sequence["Piece"], cells: Sequence[Cell], width: int
) -> Iterator[tuple[int, int]]:
    begin = used = 0
    for place, (piece, cell) in enumerate(zip(pieces, cells, strict=True)):
        if place > begin and used + cell.width > width:
            yield begin, place
            begin, used = place, 0
        used += cell.width
        if piece.text.endswith("\n"):
            yield begin, place + 1
            begin, used = place + 1, 0
    if begin < len(cells):
        yield begin, len(cells)


def surprisal_colour(share: float) -> Colour:
    """White for 0, over orange to red for 1."""
    share = min(max(share, 0.0), 1.0)
    if share < 0.5:
        return _between(_WHITE, _ORANGE, 2 * share)
    return _between(_ORANGE, _RED, 2 * share - 1)


def signed_colour(value: float) -> Colour:
    """Blue for -1, white for 0, red for 1."""
    return _between(_WHITE, _RED if value > 0 else _BLUE, min(abs(value), 1.0))


def ink_on(ground: Colour) -> Colour:
    """Black, or white where the ground is dark."""
    r, g, b = ground
    return (0, 0, 0) if 0.3 * r + 0.59 * g + 0.11 * b > 128 else _WHITE


def _between(a: Colour, b: Colour, share: float) -> Colour:
    r, g, blue = (round(x + share * (y - x)) for x, y in zip(a, b, strict=True))
    return r, g, blue
