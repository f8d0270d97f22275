"""Text without labels in passages: what is written about one thing, as far as one can see."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

MOST_CHARACTERS: Final = 4_000  # of a passage; a longer one is cut
_BLANK_LINE = re.compile(r"\n\s*\n")


def passages(documents: Iterable[str]) -> Iterator[str]:
    """What stands between blank lines; of a document without any, each of its lines.

    Nothing but white space is no passage.
    """
    for document in documents:
        parts = _BLANK_LINE.split(document.strip())
        for part in parts if len(parts) > 1 else document.split("\n"):
            whole = part.strip()
            for begin in range(0, len(whole), MOST_CHARACTERS):
                yield whole[begin : begin + MOST_CHARACTERS]
