"""How a network fares over time while it learns: whether a gradient survives the way back, and
how many gates are stuck. Looked at now and then, so it costs next to nothing."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.model.kernels.reference import TorchOperations
from charlm.model.language_model import LanguageModel
from charlm.model.stack import StackState

STREAMS = 4  # looked at on their way back
# A gradient that falls to less than this in each step: a millionth is left after 20.
_VANISHING = 0.5
_EXPLODING = 100.0
_FEWEST_STEPS = 8  # back, before anything is said


class ThroughTime(NamedTuple):
    """What is found in a window of `steps` steps."""

    carried: float  # |dL_T / d state before the window| / |dL_T / dh_T|
    saturated: float  # share of gates
    steps: int


class _Watched(TorchOperations):
    """Operations that note which of a gate's values are on the flat part of its function.

    Below 0.1 or above 0.9 (Karpathy et al. 2015, sec. 4.2); of tanh z = 2 sigmoid(2z) - 1 that
    is beyond 0.8 on either side; of relu, where it is 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flat: dict[str, list[Tensor]] = {}

    def _note(self, name: str, value: Tensor, flat: Tensor) -> Tensor:
        self.flat.setdefault(name, []).append(flat.flatten())
        return value

    def sigmoid(self, x: Tensor) -> Tensor:  # type: ignore[override]
        y = torch.sigmoid(x)
        return self._note("sigmoid", y, (y < 0.1) | (y > 0.9))

    def tanh(self, x: Tensor) -> Tensor:  # type: ignore[override]
        y = torch.tanh(x)
        return self._note("tanh", y, y.abs() > 0.8)

    def relu(self, x: Tensor) -> Tensor:
        y = torch.relu(x)
        return self._note("relu", y, y == 0)


@torch.no_grad()
def saturated_share(model: LanguageModel, ids: Tensor, state: StackState) -> float:
    """The share of saturated gates in all layers when ids (B,) are read after `state`.

    A plain network has no gates: then it is the share of its units.
    """
    flat = []
    x = model.embed(ids.unsqueeze(0), state)[0][0]
    for layer, before in zip(model.layers, state, strict=False):
        ops = _Watched()
        gates_x = F.linear(x, layer.weight_ih, layer.bias_ih)
        x = layer.cell.step(ops, gates_x, before, layer.weight_hh, layer.bias_hh)[0]
        noted = next(
            (ops.flat[name] for name in ("sigmoid", "tanh", "relu") if name in ops.flat), []
        )
        flat += noted
    return float(torch.cat(flat).float().mean()) if flat else 0.0


def norm(parts: tuple[Tensor, ...]) -> float:
    """The 2-norm of all parts together."""
    return math.sqrt(sum(float(part.float().square().sum()) for part in parts))


def in_words(found: ThroughTime, gradient_norm: float) -> dict[str, str]:
    """A warning where the gradient vanishes or explodes, by which of the two it is."""
    said = {}
    steps = found.steps
    if steps >= _FEWEST_STEPS and found.carried < _VANISHING**steps:
        said["vanishes"] = (
            f"The gradient vanishes: {steps} steps back, {found.carried:.1g} of it is left, so "
            "what lies further back is not learned. What helps: a gated cell (--cell lstm or "
            "gru); in a plain network --nonlinearity relu, with --init identity."
        )
    grown = steps >= _FEWEST_STEPS and found.carried > _EXPLODING
    if grown or gradient_norm > _EXPLODING:
        what = f"its norm is {gradient_norm:.3g}"
        if grown:
            what += f", and {steps} steps back it has grown to {found.carried:.3g} times its size"
        said["explodes"] = (
            f"The gradient explodes: {what}. What helps: cutting it (--clip-norm 1), a lower --lr, "
            "a gated cell (--cell lstm or gru), --init orthogonal."
        )
    return said
