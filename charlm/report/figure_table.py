"""Figures in rows and columns: aligned on a terminal, with tabs in a pipe."""

from collections.abc import Sequence
from typing import Any

from charlm.report.output import Output, one_line


def shown(value: Any) -> str:
    """A figure as people read it; `-` where there is none."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else one_line(str(value))


def write_table(output: Output, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A line for the headings, then one a row."""
    cells = [[one_line(heading) for heading in headings]]
    cells += [[shown(value) for value in row] for row in rows]
    if not output.is_terminal:
        output.write("".join("\t".join(row) + "\n" for row in cells))
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *rest in cells:
        columns = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        output.line("  ".join([first.ljust(widths[0]), *columns]).rstrip())
