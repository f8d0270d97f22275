"""The bits that the source of a text needs for it, where the maker of a corpus has stored them.

    bits(text) = -log2 p(text)      no model charges less on average

Beside STEM.txt stand bits/STEM.tsv, with a heading and the columns index, offset, length (in
characters) and bits (others may follow), a row for each piece that was drawn by itself; and
bits/SHA256SUMS, with a line `<sha256>  STEM.txt`: the bits are those of that text and of no other.
"""

import math
from pathlib import Path

from charlm.errors import CharlmError, Interrupted
from charlm.storage.reading import read_text
from charlm.text.decoding import Say

FOLDER = "bits"
SUMS = "SHA256SUMS"
_COLUMNS = ["index", "offset", "length", "bits"]


def source_bits(text: Path, characters: int, sha256: str, say: Say) -> float | None:
    """The bits of a text file of so many characters whose UTF-8 has that SHA-256.

    None where there are none, or where they are not those of this text: then that is said.
    """
    name = text.name.removesuffix(".gz")
    table = text.parent / FOLDER / f"{name.removesuffix('.txt')}.tsv"
    if not table.exists():
        return None
    try:
        if _noted_sum(table.parent / SUMS, name) != sha256:
            raise ValueError(f"{SUMS} beside it has not the SHA-256 of this text")
        return _sum_of(read_text(table), characters)
    except Interrupted:
        raise
    except (CharlmError, ValueError) as problem:
        what = problem.what if isinstance(problem, CharlmError) else str(problem)
        say(f"{table} gives no limit for {text.name}: {what}.")
        return None


def _noted_sum(sums: Path, name: str) -> str | None:
    """The hash of the file `name`, as sha256sum writes it."""
    for line in read_text(sums).splitlines():
        digest, _, named = line.partition(" ")
        if named[1:] == name:
            return digest
    return None


def _sum_of(table: str, characters: int) -> float:
    """ValueError where a row is none, or the rows do not lie in order in the text."""
    rows = table.splitlines()
    if len(rows) < 2 or rows[0].split("\t")[:4] != _COLUMNS:
        raise ValueError(f"it needs the columns {', '.join(_COLUMNS)}, and rows")
    every, end = [], 0
    for number, row in enumerate(rows[1:], 2):
        try:
            _, offset, length, bits = row.split("\t")[:4]
            begins, ends, charged = int(offset), int(offset) + int(length), float(bits)
        except ValueError:
            raise ValueError(f"line {number} is no row of numbers") from None
        if not (end <= begins <= ends <= characters and 0 <= charged < math.inf):
            raise ValueError(f"line {number} does not fit a text of {characters:,} characters")
        every.append(charged)
        end = ends
    return math.fsum(every)
