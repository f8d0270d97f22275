"""Logits in, logits out: what may be drawn, and how boldly.

A filter is a pure function (logits, value, history) -> logits over one vector (V,) or a
batch (N, V) of float32 or float64 logits, of which at least one per vector is finite.
What it removes becomes -inf; it always keeps the most probable token. `history` holds
the ids read and written so far, for filters that look back.

To add one: its function here, its line in `registry.LOGIT_FILTERS`, and a field of the
same name in `SamplingSettings`. Filters apply in the registry's order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.settings import SamplingSettings
from charlm.registry import LOGIT_FILTERS, resolve

Logits = npt.NDArray[np.floating[Any]]  # (V,) or (N, V)
Pipeline = Callable[[Logits, Sequence[int]], Logits]


def legal_only(logits: Logits, legal: npt.NDArray[np.bool_]) -> Logits:
    """Remove the tokens that may not stand here: `legal` is (V,) or (N, V)."""
    kept: Logits = np.where(legal, logits, logits.dtype.type(-np.inf))
    return kept


def temperature(logits: Logits, value: float, _history: Sequence[int] = ()) -> Logits:
    """p_i proportional to exp(z_i / T) (Ackley, Hinton & Sejnowski 1985, eq. 2).

    T = 0 is the limit: the most probable token alone, the lowest id where several tie.
    The result is shifted so that its maximum is 0, which no softmax sees and which keeps
    every T > 0, however small, free of overflow.
    """
    if value == 0:
        kept = np.arange(logits.shape[-1]) == logits.argmax(axis=-1, keepdims=True)
        return legal_only(logits, kept)
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)  # float32 lacks 1e-50
    with np.errstate(over="ignore"):
        bent: Logits = (shifted / value).astype(logits.dtype)
    return bent


def top_k(logits: Logits, value: int, _history: Sequence[int] = ()) -> Logits:
    """Keep the K largest logits (Fan, Lewis & Dauphin 2018), and all that tie with the Kth.

    K of V or more keeps everything.
    """
    size = logits.shape[-1]
    if value >= size:
        return logits.copy()
    least = np.partition(logits, size - value, axis=-1)[..., size - value, None]
    return legal_only(logits, logits >= least)


def top_p(logits: Logits, value: float, _history: Sequence[int] = ()) -> Logits:
    """Nucleus sampling (Holtzman et al. 2020, eq. 2-3): the smallest set of mass p or more.

    Tokens that tie with the least probable one kept are kept too. p = 0 keeps the most
    probable token, p = 1 everything.
    """
    if value == 1:  # rounding could let the sum reach 1 before the last tokens
        return logits.copy()
    ordered = np.sort(logits, axis=-1)[..., ::-1]
    mass = np.exp(ordered.astype(np.float64) - ordered[..., :1]).cumsum(axis=-1)
    short = mass < value * mass[..., -1:]  # where the set up to here is still too small
    last = np.minimum(short.sum(axis=-1, keepdims=True), logits.shape[-1] - 1)
    return legal_only(logits, logits >= np.take_along_axis(ordered, last, axis=-1))


def pipeline(settings: SamplingSettings) -> Pipeline:
    """All filters that `settings` asks for as one function of (logits, history)."""
    if settings.greedy:
        settings = SamplingSettings(temperature=0)
    values = [(name, getattr(settings, name)) for name in LOGIT_FILTERS]
    steps = [(resolve(LOGIT_FILTERS, name), value) for name, value in values if value is not None]

    def run(logits: Logits, history: Sequence[int]) -> Logits:
        for step, value in steps:
            logits = step(logits, value, history)
        return logits

    return run
