"""The filters that cut, compiled: of some order of the tokens, each keeps all from a least one on.

Those of `generation.filters`, in their order, each of what those before it left: top-k, top-p and
min-p in the order of y_v = (z_v - max z) / T, then typical sampling in its own. Nothing is sorted.
`layout` names the numbers of `choice`.
"""

from typing import Any

import numpy as np

from charlm.generation.native import layout as m
from charlm.generation.native.products import at, compiled


@compiled
def power(z: Any, most: Any, heat: Any) -> Any:
    """y = (z - max z) / T in float64, as T may be as small as 1e-50; e^-1000 is nothing."""
    return max((np.float64(z) - most) / heat, -1e3)


@compiled
def largest(order: Any, mass: Any, count: Any, tokens: Any, share: Any) -> Any:
    """Bring to the front the fewest that come first, the largest, in `order`: so many tokens, or
    of so much mass; and all that tie with the last of them. How many they are.

    Selection by parts (Hoare 1961, "Find"), split at the middle of the range: of the two parts
    the one goes on in which the border lies. A round halves the range at least, and a float64 can
    be halved some 1,100 times, whatever the distribution; mostly it halves the tokens as well.
    """
    begin, end, passed = 0, count, 0.0  # the border is from begin to end; the mass before
    while True:
        low = high = order[begin]
        for i in range(begin + 1, end):
            low, high = min(low, order[i]), max(high, order[i])
        if not low < high:
            return end
        half = (high - low) / 2
        split, above = begin, passed
        for i in range(begin, end):
            # Exchanged even where both stay below: a branch would be guessed wrongly.
            this, its_mass = order[i], mass[i]
            order[i], mass[i] = order[split], mass[split]
            order[split], mass[split] = this, its_mass
            if this - low > half:  # of the highest always, of the lowest never
                split += 1
                above += its_mass
        if split >= tokens or above >= share:
            end = split
        else:
            begin, passed = split, above


@compiled
def _least(order: Any, mass: Any, size: Any, k: Any, p: Any, work: Any) -> Any:
    """The last in `order` of the K first, and of these, of those that have p of their mass."""
    own, masses = work, at(work, size)
    count = 0
    for v in range(size):
        own[count], masses[count] = order[v], mass[v]
        if mass[v] > 0:
            count += 1
    if k < count:
        count = largest(own, masses, count, k, np.inf)
    if p < 1:  # rounding could let the sum reach 1 before the last tokens
        total = 0.0
        for i in range(count):
            total += masses[i]
        count = largest(own, masses, count, np.float64(count), p * total)
    least = own[0]
    for i in range(count):
        least = min(least, own[i])
    return least


@compiled
def _keep(order: Any, mass: Any, size: Any, least: Any) -> Any:
    """No mass to what comes after the least in `order`; the sum that is left."""
    for v in range(size):
        if order[v] < least:
            mass[v] = np.float32(0)
    total = 0.0
    for v in range(size):
        total += mass[v]
    return total


@compiled
def cut(logits: Any, most: Any, mass: Any, size: Any, choice: Any, total: Any) -> Any:
    """Take away the `mass` = e^y of what the filters remove; the sum, which was `total`.

    How much a token surprises beyond what is expected is -log p_v - H = E[y] - y_v.
    """
    k, p = choice[m.TOP_K], choice[m.TOP_P]
    least, typical = choice[m.MIN_P], choice[m.TYPICAL_P]
    if not (k < size or p < 1 or least > -np.inf or typical < 1):
        return total
    order, work = at(choice, m.WORK), at(choice, m.WORK + size)
    for v in range(size):
        order[v] = power(logits[v], most, choice[m.TEMPERATURE])
    if k < size or p < 1:
        least = max(least, _least(order, mass, size, k, p, work))
    total = _keep(order, mass, size, least)
    if typical < 1:
        mean = 0.0
        for v in range(size):
            mean += mass[v] / total * order[v]
        for v in range(size):
            order[v] = -abs(order[v] - mean)
        least = _least(order, mass, size, np.float64(size), typical, work)
        total = _keep(order, mass, size, least)
    return total
