"""Text without labels in passages: what is written about one thing, as far as one can see."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

MOST_CHARACTERS: Final = 4_000  # of a passage
_BLANK_LINE = re.compile(r"\n\s*\n")


_STRETCHES: Final = 16  # of a text that is too long to be looked at whole


def stretches(total: int, most: int) -> list[tuple[int, int]]:
    """Where `most` of `total` (characters, tokens) lie, spread evenly: begin and end of each.

    What is long is rarely in no order: by years, or by wards.
    """
    if total <= most:
        return [(0, total)]
    begins = [number * total // _STRETCHES for number in range(_STRETCHES)]
    return [(begin, begin + most // _STRETCHES) for begin in begins]


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
