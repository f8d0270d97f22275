"""Reading a text from its end: the units of a document in reverse order.

A unit is what stands between two moments at which the grammar is free: a character, a word, a
piece, or all the symbols of one that is spelled. Spelled symbols keep their order, so that
what is reversed is as legal as what it was made from, and a backward model is trained,
measured and drawn from by the same grammar as a forward one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.text.tokenizers.base import Grammar


def reversed_units(ids: npt.NDArray[Any], grammar: Grammar) -> npt.NDArray[Any]:
    """The units of ids (N,) in reverse order; twice gives `ids` again.

    `ids` is text as `encode` gives it: it begins with a unit and ends with a whole one.
    """
    starts = np.flatnonzero(grammar.legal[0][ids])  # what may stand in the free state begins one
    lengths = np.diff(starts, append=len(ids))[::-1]
    places = np.cumsum(lengths) - lengths  # where each unit begins in the result
    return ids[np.repeat(starts[::-1] - places, lengths) + np.arange(len(ids))]
