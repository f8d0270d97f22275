"""Logits in, logits out: what may be drawn, and how boldly.

A filter is a pure function (logits, value, history) -> logits over one vector (V,) or a
batch (N, V) of float32 or float64 logits, of which at least one per vector is finite.
What it removes becomes -inf; one token at least is always left. `history` holds the ids of
what was read and written last in the model's reading order, for filters that look back:
REPETITION_WINDOW of them at least, where there are so many.

To add one: its function here, its line in `registry.LOGIT_FILTERS`, and a field of the
same name in `SamplingSettings`. Filters apply in the registry's order, each to what those
before it left: first what changes the model's own probabilities (the repetition penalty, so
that even a greedy choice feels it), then their sharpness (temperature), then what cuts. Typical
sampling cuts last: it alone may remove the most probable token, which the others measure from.
Of those in `native.choice` the compiled loop leaves the same tokens (`native.cuts`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.settings import SamplingSettings
from charlm.registry import LOGIT_FILTERS, resolve

Logits = npt.NDArray[np.floating[Any]]  # (V,) or (N, V)
Pipeline = Callable[[Logits, Sequence[int]], Logits]

REPETITION_WINDOW = 64  # tokens; beyond them every common character has been used


def legal_only(logits: Logits, legal: npt.NDArray[np.bool_]) -> Logits:
    """Remove the tokens that may not stand here: `legal` is (V,) or (N, V)."""
    kept: Logits = np.where(legal, logits, logits.dtype.type(-np.inf))
    return kept


def log_probabilities(logits: Logits) -> npt.NDArray[np.float64]:
    """log softmax in float64; -inf stays -inf. Shape as `logits`."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    log_p: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_p


def repetition_penalty(logits: Logits, value: float, history: Sequence[int] = ()) -> Logits:
    """p_i proportional to p_i^theta for tokens seen lately (after Keskar et al. 2019, sec. 4.1).

    The paper divides the logits of generated tokens by theta, which raises those below zero and
    depends on a constant that no softmax sees; here log-probabilities, never above zero, are
    multiplied by it. What is certain stays so. Seen lately are the last REPETITION_WINDOW tokens
    of prompt and text together, where the paper takes all that were generated: every common
    character has been used long before a text ends. theta = 1 changes no probability.
    """
    log_p = log_probabilities(logits)
    log_p[..., np.unique(np.array(history[-REPETITION_WINDOW:], np.intp))] *= value
    with np.errstate(over="ignore"):
        penalised: Logits = log_p.astype(logits.dtype)
    return penalised


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
    mass = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return _of_mass(logits, -logits, mass, value)


def min_p(logits: Logits, value: float, _history: Sequence[int] = ()) -> Logits:
    """Keep the tokens of p_i >= value * max p (Nguyen et al. 2024).

    0 keeps everything, 1 the most probable token and its ties.
    """
    below = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return legal_only(logits, below >= np.log(np.float64(value)))


def typical_p(logits: Logits, value: float, _history: Sequence[int] = ()) -> Logits:
    """Locally typical sampling (Meister et al. 2023): the smallest set of mass p or more
    of the tokens whose surprise, -log p_i, is nearest to the entropy H.

    Tokens as far from H as the farthest one kept are kept too. p = 0 keeps the nearest, p = 1
    everything. The most probable token may be removed: it surprises too little.
    """
    log_p = log_probabilities(logits)
    p = np.exp(log_p)
    entropy = -(p * np.where(p > 0, log_p, 0)).sum(axis=-1, keepdims=True)
    return _of_mass(logits, np.abs(log_p + entropy), p, value)


def _of_mass(logits: Logits, order: Logits, mass: Logits, value: float) -> Logits:
    """Keep the smallest set, taken in rising `order`, of `value` of all `mass`, with its ties."""
    if value == 1:  # rounding could let the sum reach 1 before the last tokens
        return logits.copy()
    places = order.argsort(axis=-1)
    sums = np.take_along_axis(mass, places, axis=-1).cumsum(axis=-1)
    short = sums < value * sums[..., -1:]  # where the set up to here is still too small
    last = np.minimum(short.sum(axis=-1, keepdims=True), logits.shape[-1] - 1)
    farthest = np.take_along_axis(order, np.take_along_axis(places, last, axis=-1), axis=-1)
    return legal_only(logits, order <= farthest)


def pipeline(settings: SamplingSettings) -> Pipeline:
    """All filters that `settings` asks for as one function of (logits, history)."""
    if settings.greedy:
        settings = replace(settings, greedy=False, temperature=0.0)
    values = [(name, getattr(settings, name)) for name in LOGIT_FILTERS]
    steps = [(resolve(LOGIT_FILTERS, name), value) for name, value in values if value is not None]

    def run(logits: Logits, history: Sequence[int]) -> Logits:
        for step, value in steps:
            logits = step(logits, value, history)
        return logits

    return run
