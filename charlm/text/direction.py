"""Reading a text from its end: the units of a document in reverse order.

A unit is what stands between two moments at which the grammar is free: a character, a word, a
piece, or all the symbols of one that is spelled. Spelled symbols keep their order, so that
what is reversed is as legal as what it was made from, and a backward model is trained,
measured and drawn from by the same grammar as a forward one.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from charlm.text.tokenizers.base import Grammar

FORWARD: Final = "forward"
BACKWARD: Final = "backward"
BLOCK_TOKENS: Final = 1 << 20


def reversal(ids: npt.NDArray[Any], grammar: Grammar) -> npt.NDArray[np.intp]:
    """(N,) where each token of the reversed text stands in ids (N,).

    `ids` is text as `encode` gives it; where it is cut inside a unit, what is left of that one
    counts as a unit.
    """
    begins = grammar.legal[0][ids]  # what may stand in the free state begins a unit
    begins[:1] = True
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(ids))[::-1]
    places = np.cumsum(lengths) - lengths  # where each unit begins in the result
    return np.asarray(np.repeat(starts[::-1] - places, lengths) + np.arange(len(ids)))


def reversed_units(ids: npt.NDArray[Any], grammar: Grammar) -> npt.NDArray[Any]:
    """The units of ids (N,) in reverse order; of whole units, twice gives `ids` again."""
    return np.asarray(ids[reversal(ids, grammar)])


def in_reading_order(ids: npt.NDArray[Any], grammar: Grammar, direction: str) -> npt.NDArray[Any]:
    """ids (N,) as a model of this direction reads them, and back again."""
    return reversed_units(ids, grammar) if direction == BACKWARD else ids


def from_the_end(
    blocks: Iterable[npt.NDArray[Any]],
    grammar: Grammar,
    folder: Path,
    block_tokens: int = BLOCK_TOKENS,
) -> Iterator[npt.NDArray[Any]]:
    """`reversed_units` of the document that `blocks` make together, in blocks, in flat memory.

    All of it goes into an unnamed temporary file in `folder` first. OSError where that fails.
    """
    with tempfile.TemporaryFile(dir=folder, prefix="backward-") as file:
        dtype = np.dtype(np.uint8)
        for block in blocks:
            dtype = block.dtype
            file.write(block.tobytes())
        end = file.tell() // dtype.itemsize
        size = block_tokens
        while end:
            begin = max(0, end - size)
            file.seek(begin * dtype.itemsize)
            ids = np.frombuffer(file.read((end - begin) * dtype.itemsize), dtype)
            # From the first unit that begins here; all of it where that is the document's first.
            cut = int(np.argmax(grammar.legal[0][ids])) if begin else 0
            if begin and not grammar.legal[0][ids[cut]]:
                size *= 2  # one unit longer than a block
                continue
            yield reversed_units(ids[cut:], grammar)
            end, size = begin + cut, block_tokens
