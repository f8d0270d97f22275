"""Text without labels in passages: what is written about one thing, as far as one can see."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

MOST_CHARACTERS: Final = 4_000  # of a passage
_BLANK_LINE = re.compile(r"\n\s*\n")


def passages(blocks: Iterable[str]) -> Iterator[str]:
    """What stands between blank lines; of what is too long for that, its lines, and of a line that
    still is, so many characters at a time.

    Nothing but white space is no passage. A passage ends with its block.
    """
    for block in blocks:
        for part in _BLANK_LINE.split(block):
            for whole in [part] if len(part) <= MOST_CHARACTERS else part.split("\n"):
                for begin in range(0, len(whole), MOST_CHARACTERS):
                    passage = whole[begin : begin + MOST_CHARACTERS].strip()
                    if passage:
                        yield passage
