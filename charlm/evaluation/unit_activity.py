"""What every unit does while a text is read, and which of them follow something in it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.model.cells.base import State
from charlm.model.kernels.reference import TorchOperations
from charlm.model.language_model import LanguageModel


class LayerStep(NamedTuple):
    """One layer after one token."""

    gates: tuple[Tensor, ...]  # (1, H) each, in the order of Cell.gate_names
    state: State  # (1, H) each


class Unit(NamedTuple):
    """One hidden unit; layer and number from 1, as people count."""

    layer: int
    number: int


@torch.inference_mode()
def activity(model: LanguageModel, inputs: Sequence[int]) -> Iterator[list[LayerStep]]:
    """Every layer after each of the `inputs`, read as one stream from zeros, dropout off."""
    ops, zoneout = TorchOperations(), model.layers.zoneout
    states = list(model.empty_state(1))
    for token in inputs:
        x, after = model.embed(torch.tensor([[token]]), tuple(states))
        x, states[len(model.layers) :] = x[0], after  # (1, E)
        steps = []
        for number, layer in enumerate(model.layers):
            gates_x = F.linear(x, layer.weight_ih, layer.bias_ih)
            about = (ops, gates_x, states[number], layer.weight_hh, layer.bias_hh)
            gates, made = layer.cell.gate_values(*about), layer.cell.step(*about)
            states[number] = tuple(
                zoneout * old + (1 - zoneout) * new
                for old, new in zip(states[number], made, strict=True)
            )
            x = states[number][0]
            steps.append(LayerStep(gates, states[number]))
        yield steps


def memories(model: LanguageModel, inputs: Sequence[int]) -> np.ndarray:
    """What each unit of each layer remembers after each token (N, units), cut to -1 .. 1."""
    cell = model.layers.cell
    part = cell.state_names.index(cell.memory)
    rows = [
        torch.cat([step.state[part][0] for step in steps]).tanh().numpy()
        for steps in activity(model, inputs)
    ]
    return np.stack(rows)


def traces(
    model: LanguageModel, inputs: Sequence[int], units: Sequence[Unit]
) -> list[dict[str, np.ndarray]]:
    """For each unit its gates and states over the N tokens, (N,) each by its name."""
    cell = model.layers.cell
    names = dict.fromkeys((*cell.gate_names, *cell.state_names))
    found: list[dict[str, list[float]]] = [{name: [] for name in names} for _ in units]
    for steps in activity(model, inputs):
        for unit, kept in zip(units, found, strict=True):
            step = steps[unit.layer - 1]
            values = dict(zip(cell.gate_names, step.gates, strict=True))
            values |= zip(cell.state_names, step.state, strict=True)
            for name, value in values.items():
                kept[name].append(float(value[0, unit.number - 1]))
    return [{name: np.array(values) for name, values in kept.items()} for kept in found]


def correlations(held: np.ndarray, followed: np.ndarray) -> np.ndarray:
    """Pearson's r of each column of held (N, units) with followed (N,); 0 for what is constant."""
    a, b = held - held.mean(axis=0), followed - followed.mean()
    sizes = np.sqrt((a * a).sum(axis=0) * (b * b).sum())
    product = (a * b[:, None]).sum(axis=0)
    return np.where(sizes > 1e-12, product / np.maximum(sizes, 1e-12), 0.0)


def best_follower(held: np.ndarray, followed: np.ndarray) -> tuple[int, float] | None:
    """The column of held (N, units) that follows `followed` (N,) most closely, and its r.

    It is chosen on the first half of the text, and its r is that of the second: of some
    hundred units one always follows anything by chance where it was looked for. None where
    there is nothing to follow in one of the halves.
    """
    half = len(followed) // 2
    if half < 2 or not (np.ptp(followed[:half]) and np.ptp(followed[half:])):
        return None
    chosen = int(np.abs(correlations(held[:half], followed[:half])).argmax())
    return chosen, float(correlations(held[half:, chosen : chosen + 1], followed[half:])[0])
