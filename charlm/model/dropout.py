"""Dropout in recurrent networks: which values are dropped, and for how long.

    embedding                    on whole words: rows of the embedding matrix
    input, inter-layer, output   on what flows up through the layers at one time step
    temporal                     on what flows along from one time step to the next

Masks are locked: drawn once for a whole window and used at each of its time steps
(Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent
Neural Networks"). What is kept is scaled by 1/(1-p), so that evaluation needs no change.
Zoneout is the exception to both: it draws at every step, and evaluation takes its mean.
Parameters stay plain: a dropped matrix is computed here and handed to the kernel.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from charlm import registry
from charlm.draws import Draws
from charlm.model.kernels.sequence import Zone


@dataclass(frozen=True)
class DropoutRates:
    """The probability of dropping at each place (0 switches it off)."""

    input: float = 0.0
    inter_layer: float = 0.0
    output: float = 0.0
    temporal: float = 0.0
    temporal_kind: str = "variational"
    temporal_mask: str = "shared"
    embedding: float = 0.0


class TemporalDrop(NamedTuple):
    """What a temporal dropout does to one layer in one window."""

    weight_hh: Tensor  # (G*H, H), possibly dropped
    hidden_mask: Tensor | None = None  # (B, H): multiplies h_{t-1} wherever a product reads it
    zone: Zone | None = (
        None  # (T, B, H) for each part of the state: the share of the old that stays
    )

    def between(self, begin: int, end: int) -> "TemporalDrop":
        """The same for time steps begin ... end-1."""
        if self.zone is None:
            return self
        return self._replace(zone=tuple(stays[begin:end] for stays in self.zone))


class Extent(NamedTuple):
    """How far one window of one layer reaches."""

    steps: int  # T
    streams: int  # B
    state_parts: int


class TemporalDropout(Protocol):
    """One kind of temporal dropout: a function of the layer's W_hh and the step's draws."""

    def __call__(
        self, weight_hh: Tensor, extent: Extent, rates: DropoutRates, draws: Draws, place: str
    ) -> TemporalDrop: ...


def mask(
    shape: tuple[int, ...],
    p: float,
    draws: Draws,
    place: str,
    like: Tensor,
    streams: int | None = None,
) -> Tensor:
    """0 with probability p, else 1/(1-p): entries of `shape`, in the dtype and place of `like`.

    streams: the axis that counts them, if there is one.
    """
    kept = draws.uniform(place, shape, streams, like.device) >= p
    return (kept / (1.0 - p)).to(like)


def locked(x: Tensor, p: float, draws: Draws | None, place: str) -> Tensor:
    """x (T, B, F) with features dropped by one mask (1, B, F) for all T time steps."""
    if draws is None or p == 0:
        return x
    return x * mask((1, *x.shape[1:]), p, draws, place, x, streams=1)


def embedded(ids: Tensor, weight: Tensor, p: float, draws: Draws | None) -> Tensor:
    """Rows of weight (V, E) for ids (T, B), whole words dropped (Gal & Ghahramani 2016, sec. 4.2).

    A word is dropped at all its places in the window, or at none.
    """
    vectors = torch.nn.functional.embedding(ids, weight)  # (T, B, E)
    if draws is None or p == 0:
        return vectors
    words = mask((len(weight), 1), p, draws, "embedding", weight)
    return vectors * torch.nn.functional.embedding(ids, words)


def variational(
    weight_hh: Tensor, extent: Extent, rates: DropoutRates, draws: Draws, place: str
) -> TemporalDrop:
    """h_{t-1} * m with one mask m for the window (Gal & Ghahramani 2016, eq. 7).

    A mask shared by the streams is the same as W_hh diag(m), which keeps the library kernel;
    one mask for each stream does not.
    """
    hidden = weight_hh.shape[1]
    if rates.temporal_mask == "shared":
        m = mask((1, hidden), rates.temporal, draws, place, weight_hh)
        return TemporalDrop(weight_hh * m)
    shape = (extent.streams, hidden)
    m = mask(shape, rates.temporal, draws, place, weight_hh, streams=0)
    return TemporalDrop(weight_hh, m)


def weight_drop(
    weight_hh: Tensor, extent: Extent, rates: DropoutRates, draws: Draws, place: str
) -> TemporalDrop:
    """DropConnect on W_hh: single weights dropped, once a window (Merity et al. 2018, sec. 2)."""
    return TemporalDrop(
        weight_hh * mask(tuple(weight_hh.shape), rates.temporal, draws, place, weight_hh)
    )


def zoneout(
    weight_hh: Tensor, extent: Extent, rates: DropoutRates, draws: Draws, place: str
) -> TemporalDrop:
    """Single units keep their old state for a step (Krueger et al. 2017, sec. 3.1).

        s_t = d_t * s_{t-1} + (1 - d_t) * s~_t,   d_t ~ Bernoulli(p) for each unit and step

    for every part s of the state; s~_t is what the cell makes. The paper has a rate of its own
    for the LSTM's c and h; here it is one. `expectation` is what evaluation takes.
    """
    shape = (extent.steps, extent.streams, weight_hh.shape[1])
    place += f" {draws.begin}" if draws.begin else ""
    return TemporalDrop(
        weight_hh,
        zone=tuple(
            (draws.uniform(f"{place} {part}", shape, 1, weight_hh.device) < rates.temporal).to(
                weight_hh
            )
            for part in range(extent.state_parts)
        ),
    )


def expectation(weight_hh: Tensor, extent: Extent, p: float) -> TemporalDrop:
    """What stands for zoneout of rate p where nothing is drawn: s_t = p s_{t-1} + (1-p) s~_t."""
    if p == 0:
        return TemporalDrop(weight_hh)
    stays = weight_hh.new_full((1, 1, 1), p).expand(extent.steps, extent.streams, -1)
    return TemporalDrop(weight_hh, zone=(stays,) * extent.state_parts)


def temporal(
    weight_hh: Tensor, extent: Extent, rates: DropoutRates, draws: Draws, place: str
) -> TemporalDrop:
    """The temporal dropout that `rates` asks for."""
    if rates.temporal == 0:
        return TemporalDrop(weight_hh)
    kind: TemporalDropout = registry.resolve(registry.TEMPORAL_DROPOUTS, rates.temporal_kind)
    return kind(weight_hh, extent, rates, draws, place)
