"""The first N of some labelled texts: stratified, and the first 100 are among the first 300.

A learning curve is fair where fewer labels are a part of more of them. One text of every class
stands first; after them, text j of the n_c of class c (in random order) stands at (j + 1/2) / n_c
of the way, so that every beginning has about the classes' shares of the whole.
"""

from collections import Counter
from collections.abc import Sequence

from charlm.draws import Draws


def nested_order(labels: Sequence[str | int | None], seed: int, place: str) -> list[int]:
    """The places of all texts in the order in which they are taken; `place` as in `Draws`."""
    draw = Draws(seed, 0).numpy(place)
    totals = Counter(labels)
    taken: Counter[str | int | None] = Counter()
    way: dict[int, tuple[bool, float, float]] = {}
    ties = draw.random(len(labels)).tolist()
    for number in draw.permutation(len(labels)).tolist():
        label = labels[number]
        share = (taken[label] + 0.5) / totals[label]
        way[number] = (taken[label] > 0, share, ties[number])
        taken[label] += 1
    return sorted(way, key=lambda number: way[number])
