"""Record real commands on a terminal as an SVG picture.

    python scripts/record_terminal.py docs/terminal.svg 'charlm train ...' 'charlm generate ...'

Each command runs on a pseudo-terminal of its own; what it leaves on the screen (progress bars
redrawn, not repeated) is put under its prompt. Needs pyte, from the dev extra.
"""

import argparse
import io
import os
import re
from pathlib import Path

import pexpect
import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, HISTORY = 100, 1000


def screen_of(command: str) -> Text:
    """What the command leaves on a terminal of COLUMNS columns, with its colours."""
    screen = pyte.HistoryScreen(COLUMNS, HISTORY, history=HISTORY)
    stream = pyte.ByteStream(screen)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    process = pexpect.spawn(
        "/bin/bash", ["-c", command], env=environment, dimensions=(HISTORY, COLUMNS), timeout=None
    )
    while True:
        try:
            stream.feed(process.read_nonblocking(65536))
        except pexpect.EOF:
            break
    text = Text()
    for row in range(screen.cursor.y + 1):
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            style = cell.fg if cell.fg != "default" else ""
            if re.fullmatch("[0-9a-f]{6}", style):
                style = "#" + style
            text.append(cell.data, (("bold " if cell.bold else "") + style).strip() or None)
        text.rstrip()
        text.append("\n")
    text.rstrip()
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("svg", type=Path)
    parser.add_argument("commands", nargs="+")
    arguments = parser.parse_args()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command in arguments.commands:
        console.print(Text("$ " + command, style="bold green"))
        console.print(screen_of(command))
        console.print()
    svg = console.export_svg(title="charlm")
    # No font from elsewhere: the reader's own monospaced one.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    arguments.svg.write_text(svg.replace("Fira Code, monospace", "monospace"), "utf-8")


if __name__ == "__main__":
    main()
