"""What a model knows of a text, on a terminal in colours, and as lines where there are none."""

from typing import TYPE_CHECKING, Any

from charlm.report.coloured_text import Colour, Row, full_colour, ink_on, rows, surprisal_colour
from charlm.report.output import Output, one_line

if TYPE_CHECKING:
    from rich.text import Text

    from charlm.evaluation.looking import Look, Piece

_BLACK: Colour = (0, 0, 0)


def show(look: "Look", output: Output) -> None:
    """Coloured text on a terminal that has colours (with alternatives: a line a piece).

    Else a line a piece: bits, text, and probability and text of each alternative, by tabs.
    """
    if not output.colours:
        for piece in look.pieces:
            output.line("\t".join([f"{piece.bits:.4f}", one_line(piece.text), *_others(piece)]))
        return
    from rich.text import Text

    most = full_colour(look)
    scale = Text("0 ")
    for step in range(24):
        scale.append(" ", _style(_BLACK, surprisal_colour(step / 23)))
    scale.append(f" {most:.1f} bits and more")
    output.styled(scale)
    if any(piece.alternatives for piece in look.pieces):
        for piece in look.pieces:
            output.styled(_piece_line(piece, most))
        return
    drawn = list(rows(look, output.columns - _label_width(look)))
    label = max(len(row.label) for row in drawn)
    for row in drawn:
        output.styled(_row(row, label))


def as_object(look: "Look", run: str) -> dict[str, Any]:
    """What --json shows."""
    return {
        "run": run,
        "bits": look.bits,
        "bits_per_character": look.bits / look.characters if look.characters else None,
        "shortened": look.shortened,
        "pieces": [
            {"text": piece.text, "bits": piece.bits, "alternatives": piece.alternatives}
            for piece in look.pieces
        ],
        "units": [
            {
                "layer": seen.unit.layer,
                "unit": seen.unit.number,
                "follows": seen.follows,
                "correlation": seen.correlation,
                "values": {name: values.tolist() for name, values in seen.values.items()},
            }
            for seen in look.units
        ],
    }


def _others(piece: "Piece") -> list[str]:
    return [f"{p:.4f} {one_line(text)}" for text, p in piece.alternatives]


def _piece_line(piece: "Piece", most: float) -> "Text":
    from rich.text import Text

    line = Text(f"{piece.bits:7.2f} ")
    colour = surprisal_colour(piece.bits / most)
    line.append(one_line(piece.text), _style(ink_on(colour), colour))
    line.append("   " + "   ".join(_others(piece)))
    return line


def _label_width(look: "Look") -> int:
    labels = [f"{s.unit.layer}:{s.unit.number} {name} " for s in look.units for name in s.values]
    return max(map(len, labels), default=0)


def _row(row: Row, label: int) -> "Text":
    from rich.text import Text

    line = Text(f"{row.label:{label}} " if label else "")
    for cell in row.cells:
        line.append(cell.text or " " * cell.width, _style(ink_on(cell.colour), cell.colour))
    return line


def _style(ink: Colour, ground: Colour) -> str:
    return "#{:02x}{:02x}{:02x} on #{:02x}{:02x}{:02x}".format(*ink, *ground)
