"""Dropout in recurrent networks: which values are dropped, and for how long.

    input, inter-layer, output   on what flows up through the layers at one time step
    temporal                     on what flows along from one time step to the next

Every mask is locked: drawn once for a whole window and used at each of its time steps
(Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent
Neural Networks"). What is kept is scaled by 1/(1-p), so that evaluation needs no change.
Parameters stay plain: a dropped matrix is computed here and handed to the kernel.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from charlm import registry
from charlm.draws import Draws


@dataclass(frozen=True)
class DropoutRates:
    """The probability of dropping at each place (0 switches it off)."""

    input: float = 0.0
    inter_layer: float = 0.0
    output: float = 0.0
    temporal: float = 0.0
    temporal_kind: str = "variational"
    temporal_mask: str = "shared"


class TemporalDrop(NamedTuple):
    """What a temporal dropout does to one layer in one window."""

    weight_hh: Tensor  # (G*H, H), possibly dropped
    hidden_mask: Tensor | None = None  # (B, H): multiplies h_{t-1} wherever it is read


class TemporalDropout(Protocol):
    """One kind of temporal dropout: a function of the layer's W_hh and the step's draws."""

    def __call__(
        self, weight_hh: Tensor, streams: int, rates: DropoutRates, draws: Draws, place: str
    ) -> TemporalDrop: ...


def mask(shape: tuple[int, ...], p: float, draws: Draws, place: str, like: Tensor) -> Tensor:
    """0 with probability p, else 1/(1-p): entries of `shape`, in the dtype and place of `like`."""
    kept = torch.rand(shape, generator=draws.torch(place)) >= p
    return (kept / (1.0 - p)).to(like)


def locked(x: Tensor, p: float, draws: Draws | None, place: str) -> Tensor:
    """x (T, B, F) with features dropped by one mask (1, B, F) for all T time steps."""
    if draws is None or p == 0:
        return x
    return x * mask((1, *x.shape[1:]), p, draws, place, x)


def variational(
    weight_hh: Tensor, streams: int, rates: DropoutRates, draws: Draws, place: str
) -> TemporalDrop:
    """h_{t-1} * m with one mask m for the window (Gal & Ghahramani 2016, eq. 7).

    A mask shared by the streams is the same as W_hh diag(m), which keeps the library kernel;
    one mask for each stream does not.
    """
    hidden = weight_hh.shape[1]
    if rates.temporal_mask == "shared":
        m = mask((1, hidden), rates.temporal, draws, place, weight_hh)
        return TemporalDrop(weight_hh * m)
    return TemporalDrop(weight_hh, mask((streams, hidden), rates.temporal, draws, place, weight_hh))


def weight_drop(
    weight_hh: Tensor, streams: int, rates: DropoutRates, draws: Draws, place: str
) -> TemporalDrop:
    """DropConnect on W_hh: single weights dropped, once a window (Merity et al. 2018, sec. 2)."""
    return TemporalDrop(
        weight_hh * mask(tuple(weight_hh.shape), rates.temporal, draws, place, weight_hh)
    )


def temporal(
    weight_hh: Tensor, streams: int, rates: DropoutRates, draws: Draws | None, place: str
) -> TemporalDrop:
    """The temporal dropout that `rates` asks for; nothing is dropped without draws."""
    if draws is None or rates.temporal == 0:
        return TemporalDrop(weight_hh)
    kind: TemporalDropout = registry.resolve(registry.TEMPORAL_DROPOUTS, rates.temporal_kind)
    return kind(weight_hh, streams, rates, draws, place)
