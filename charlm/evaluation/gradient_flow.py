"""What back-propagation carries back through time (the lecture's "Vanishing Gradient").

    dL_t/dh_{t-k} = dL_t/dy_t  dy_t/dh_t  prod_{j=0}^{k-1} dh_{t-j}/dh_{t-j-1}

and the part of dL_t/dW_hh that came through step t-k, whose sum over k is the whole. Many
factors below 1 make it vanish, many above 1 explode (Bengio et al. 1994; Pascanu et al. 2013).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.errors import DataError, UsageError
from charlm.model.kernels.reference import TorchOperations
from charlm.model.language_model import LanguageModel
from charlm.model.legal import LegalTokens
from charlm.model.stack import RecurrentLayer
from charlm.text.tokenizers.base import Grammar
from charlm.training import gradients
from charlm.training.loss import cross_entropy

_JACOBIANS = 5  # steps at which the Jacobian is taken


@dataclass(frozen=True)
class GradientFlow:
    """What comes back from the loss of the last of T steps, in the last layer.

    state: each part of the state by its name, (T,) norms of dL_t/d(part)_{t-k} for k = 0, 1, ...
    (root mean square over streams); that of the LSTM's c counts its way by
    h = o tanh(c) too. weight: norms of the part of dL_t/dW_hh (of the mean loss) that came
    through step t-k, for `distances`. largest_singular_values: of the Jacobian
    d(state)_t/d(state)_{t-1}, at some steps of one stream. gradient_norm, clipped_norm: of the
    gradient of all weights for the mean loss of all steps, before and after it is cut.
    """

    state: dict[str, list[float]]
    distances: list[int]
    weight: list[float]
    largest_singular_values: list[float]
    gradient_norm: float
    clipped_norm: float

    def as_dict(self) -> dict[str, Any]:
        """For `charlm gradients --json`; None where a number is too large for a float."""

        def finite(values: list[float]) -> list[float | None]:
            return [value if np.isfinite(value) else None for value in values]

        norm, clipped = finite([self.gradient_norm, self.clipped_norm])
        return {
            "state": {name: finite(norms) for name, norms in self.state.items()},
            "distances": self.distances,
            "weight": finite(self.weight),
            "largest_singular_values": finite(self.largest_singular_values),
            "gradient_norm": norm,
            "clipped_norm": clipped,
        }


@dataclass(frozen=True)
class Windows:
    """B windows of T steps side by side: inputs, targets (T, B), and the states of the spelling
    automaton before each target (T, B)."""

    inputs: Tensor
    targets: Tensor
    states: np.ndarray


def distances(steps: int) -> list[int]:
    """0, 1, 2, 5, 10, 20, 50, ... and the last one that `steps` steps have."""
    found = [0, *(unit * 10**power for power in range(5) for unit in (1, 2, 5))]
    return sorted({k for k in found if k < steps} | {steps - 1})


def windows(ids: np.ndarray, grammar: Grammar, steps: int, streams: int) -> Windows:
    """Windows from places all over the text, each with the true token before it as first input.

    DataError: the text is too short.
    """
    if len(ids) <= steps:
        raise DataError(
            f"the text has {len(ids)} tokens; needed: more than the {steps} steps to go back",
            "Give a longer text with --text, or fewer --steps.",
        )
    starts = np.unique(np.linspace(1, len(ids) - steps, streams).astype(np.int64))
    places = starts + np.arange(steps)[:, None]  # (T, B)
    targets = ids[places].astype(np.int64)
    before = np.array([grammar.state_before(ids, int(place)) for place in starts])
    return Windows(
        torch.from_numpy(ids[places - 1].astype(np.int64)),
        torch.from_numpy(targets),
        grammar.run(before, targets)[0],
    )


def gradient_flow(
    model: LanguageModel, grammar: Grammar, found: Windows, clip_norm: float
) -> GradientFlow:
    """Follow the gradient of the last loss back, each window from the empty state; dropout off.

    UsageError: a network without connections through time.
    """
    if not model.layers.cell.recurrent:
        raise UsageError(
            f"a {model.layers.cell.name} network has no connections through time: no gradient goes "
            "further back than its window",
            "Look at a run of another --cell.",
        )
    legal = LegalTokens(grammar.legal, torch.device("cpu"))
    layer = list(model.layers)[-1]
    x = _inputs_of(model, found.inputs)
    copies = {k: layer.weight_hh.detach().clone().requires_grad_() for k in distances(len(x))}
    states = _states(layer, model.layers.zoneout, x, copies)
    loss = cross_entropy(
        model, states[-1][0].unsqueeze(0), found.targets[-1:], legal, found.states[-1:]
    )
    parts = [part for state in states[1:] for part in state]
    grads = torch.autograd.grad(loss, [*parts, *copies.values()], allow_unused=True)
    streams, names = found.inputs.shape[1], layer.cell.state_names
    norms: dict[str, list[float]] = {}
    for number, name in enumerate(names):
        # The mean over streams is the loss; each stream's own gradient is B times its part of it.
        back = [_norm(grad) * streams**0.5 for grad in grads[number : len(parts) : len(names)]]
        norms[name] = back[::-1]
    whole, cut = _whole_gradient(model, legal, found, clip_norm)
    return GradientFlow(
        norms,
        list(copies),
        [_norm(grad) for grad in grads[len(parts) :]],
        _singular_values(layer, model.layers.zoneout, x, states),
        whole,
        cut,
    )


def _norm(grad: Tensor | None) -> float:
    return 0.0 if grad is None else float(grad.double().norm())


@torch.no_grad()
def _inputs_of(model: LanguageModel, ids: Tensor) -> Tensor:
    """What the last layer reads, as the product W_ih x + b_ih (T, B, G*H)."""
    x, _ = model.embed(ids, model.empty_state(ids.shape[1]))
    *below, last = model.layers
    for layer in below:
        gates_x = F.linear(x, layer.weight_ih, layer.bias_ih)
        states = _states(layer, model.layers.zoneout, gates_x, {})
        x = torch.stack([state[0] for state in states[1:]])
    return F.linear(x, last.weight_ih, last.bias_ih)


def _step(
    layer: RecurrentLayer,
    zoneout: float,
    gates_x: Tensor,
    state: tuple[Tensor, ...],
    weight_hh: Tensor,
) -> tuple[Tensor, ...]:
    """One step of the paper's equation; with zoneout, its mean."""
    new = layer.cell.step(TorchOperations(), gates_x, state, weight_hh, layer.bias_hh.detach())
    if zoneout:
        pairs = zip(state, new, strict=True)
        new = tuple(zoneout * old + (1 - zoneout) * made for old, made in pairs)
    return new


def _states(
    layer: RecurrentLayer,
    zoneout: float,
    gates_x: Tensor,
    copies: dict[int, Tensor],
) -> list[tuple[Tensor, ...]]:
    """The states before the first step (empty) and after each; a step whose distance has a copy
    of W_hh uses that."""
    begin = layer.empty_state(gates_x.shape[1])
    states = [tuple(part.requires_grad_(torch.is_grad_enabled()) for part in begin)]
    shared = layer.weight_hh.detach()
    for t, gates in enumerate(gates_x):
        weight_hh = copies.get(len(gates_x) - 1 - t, shared)
        states.append(_step(layer, zoneout, gates, states[-1], weight_hh))
    return states


def _singular_values(
    layer: RecurrentLayer, zoneout: float, gates_x: Tensor, states: list[tuple[Tensor, ...]]
) -> list[float]:
    """The largest one of d state_t / d state_{t-1}, a square matrix of all parts, at some steps of
    the first stream."""
    weight_hh = layer.weight_hh.detach()
    found = []
    for t in np.unique(np.linspace(0, len(gates_x) - 1, _JACOBIANS).astype(int)).tolist():
        before = torch.cat([part[:1].detach() for part in states[t]], dim=1)
        gates = gates_x[t, :1]

        def step(state: Tensor, gates: Tensor = gates) -> Tensor:
            parts = state.chunk(len(states[0]), dim=1)
            return torch.cat(_step(layer, zoneout, gates, parts, weight_hh), dim=1)

        jacobian = torch.autograd.functional.jacobian(step, before, vectorize=True)[0, :, 0]
        largest = torch.linalg.matrix_norm(jacobian.double(), 2)
        found.append(float(largest))
    return found


def _whole_gradient(
    model: LanguageModel, legal: LegalTokens, found: Windows, clip_norm: float
) -> tuple[float, float]:
    """The norm of the gradient that training would take a step by, before and after it is cut."""
    outputs = model(found.inputs, model.empty_state(found.inputs.shape[1])).outputs
    loss = cross_entropy(model, outputs, found.targets, legal, found.states)
    parameters = [weight for _, weight in model.dense()]
    for p, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = grad.clone()  # two biases may share theirs, which would be cut twice
    before = gradients.clip(parameters, clip_norm)
    after = _norm(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
    for p in parameters:
        p.grad = None
    return before, after
