"""L layers of a cell over time, with dropout between them; state in, state out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from charlm import registry
from charlm.draws import Draws
from charlm.model import dropout
from charlm.model.cells.base import Cell, State
from charlm.model.dropout import DropoutRates
from charlm.model.initialisation import window_uniform, xavier_uniform
from charlm.model.kernels import reference, sequence
from charlm.model.kernels.providers import provider

StackState = tuple[State, ...]  # one State a layer


class Border(NamedTuple):
    """A time step before which some streams go back to the empty state."""

    step: int
    fresh: Tensor  # (B,) bool: which streams

    def to(self, device: torch.device) -> "Border":
        return Border(self.step, self.fresh.to(device))


class RecurrentLayer(nn.Module):
    """One layer of a cell: its weights, named and laid out as in torch.nn.

    `precision` is the dtype of the matrix products and of the output. Parameters and states
    stay in the parameters' dtype. Without `bias` there is none, as in the lecture's equations.
    """

    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    def __init__(self, cell: Cell, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.cell = cell
        self.hidden_size = hidden_size
        rows = cell.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        there = {
            "weight_hh": (cell.recurrent, torch.empty(rows if cell.recurrent else 0, hidden_size)),
            "bias_ih": (bias, torch.zeros(rows)),
            "bias_hh": (bias and cell.recurrent, torch.zeros(rows)),
        }
        for name, (learned, start) in there.items():
            if learned:
                self.register_parameter(name, nn.Parameter(start))
            else:
                self.register_buffer(name, start, persistent=False)

    def initialise(self, init: str, generator: torch.Generator, initial_bias: np.ndarray) -> None:
        """Draw the weights; bias_ih (G*H,) starts at `initial_bias`, bias_hh at zero."""
        if self.cell.recurrent:
            xavier_uniform(self.weight_ih, generator)
            registry.resolve(registry.INITIALISATIONS, init)(self.weight_hh, generator)
        else:
            window_uniform(self.weight_ih, self.cell.gates, generator)
        if isinstance(self.bias_ih, nn.Parameter):
            with torch.no_grad():
                self.bias_ih.copy_(torch.from_numpy(initial_bias))
                self.bias_hh.zero_()

    def empty_state(self, streams: int) -> State:
        """Zeros (B, H) for each part of the state."""
        return tuple(
            self.bias_ih.new_zeros(streams, self.hidden_size) for _ in self.cell.state_names
        )

    def forward(
        self,
        x: Tensor,
        state: State,
        drop: dropout.TemporalDrop,
        kernel: str = "auto",
        precision: torch.dtype = torch.float32,
    ) -> tuple[Tensor, State]:
        """x (T, B, I) -> y (T, B, H), state after the last step.

        kernel: `auto` takes a library's where there is one, `fused` our own, `reference` the
        loop over the paper's equation.
        """
        if self.weight_hh.dtype == torch.float64:
            precision = torch.float64
        weights = (
            self.weight_ih.to(precision),
            drop.weight_hh.to(precision),
            self.bias_ih.to(precision),
            self.bias_hh.to(precision),
        )
        x = x.to(precision)
        masks = drop.hidden_mask, drop.zone
        library = provider(self.cell, x, masks == (None, None)) if kernel == "auto" else None
        if library is not None:
            y, state = library(x, state, *weights)
        elif kernel == "reference":
            y, state = reference.run(self.cell, x, state, *weights, *masks)
        else:
            steps = registry.resolve(registry.FUSED_KERNELS, self.cell.name)
            y, state = sequence.run(steps, self.cell, x, state, *weights, *masks)
        return y, tuple(part.to(self.weight_hh.dtype) for part in state)


class RecurrentStack(nn.ModuleList):
    """Layers on top of each other: each reads the output of the one below.

    sizes: the hidden units of each layer, from below. zoneout: its rate where nothing is drawn.
    """

    cell: Cell
    zoneout: float

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        sizes: Sequence[int],
        bias: bool = True,
        zoneout: float = 0.0,
    ) -> None:
        super().__init__(
            RecurrentLayer(cell, below, size, bias)
            for below, size in zip((input_size, *sizes), sizes, strict=False)
        )
        self.cell = cell
        self.zoneout = zoneout

    def __iter__(self) -> Iterator[RecurrentLayer]:
        return cast(Iterator[RecurrentLayer], super().__iter__())

    def empty_state(self, streams: int) -> StackState:
        return tuple(layer.empty_state(streams) for layer in self)

    def forward(
        self,
        x: Tensor,
        state: StackState,
        borders: Sequence[Border] = (),
        rates: DropoutRates | None = None,
        draws: Draws | None = None,
        kernel: str = "auto",
        precision: torch.dtype = torch.float32,
    ) -> tuple[Tensor, StackState]:
        """x (T, B, I) -> y (T, B, H) of the last layer, and every layer's state.

        Without draws nothing is dropped, and zoneout takes its mean.
        """
        rates = rates or DropoutRates()
        after = []
        for number, (layer, layer_state) in enumerate(zip(self, state, strict=True)):
            if number:
                x = dropout.locked(x, rates.inter_layer, draws, f"inter-layer {number}")
            drop = self._temporal(number, x, rates, draws)
            outputs = []
            for begin, end, fresh in _pieces(len(x), borders):
                if fresh is not None:
                    layer_state = tuple(
                        torch.where(fresh.unsqueeze(1), 0.0, part) for part in layer_state
                    )
                piece = drop.between(begin, end)
                y, layer_state = layer(x[begin:end], layer_state, piece, kernel, precision)
                outputs.append(y)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
            after.append(layer_state)
        return x, tuple(after)

    def _temporal(
        self, number: int, x: Tensor, rates: DropoutRates, draws: Draws | None
    ) -> dropout.TemporalDrop:
        weight_hh = list(self)[number].weight_hh
        extent = dropout.Extent(x.shape[0], x.shape[1], len(self.cell.state_names))
        if draws is None:
            return dropout.expectation(weight_hh, extent, self.zoneout)
        return dropout.temporal(weight_hh, extent, rates, draws, f"temporal {number}")


def _pieces(steps: int, borders: Sequence[Border]) -> Iterator[tuple[int, int, Tensor | None]]:
    """Time steps cut at the borders: begin, end, and the streams that start afresh there."""
    edges: list[tuple[int, Tensor | None]] = list(borders)
    if not edges or edges[0][0] != 0:
        edges.insert(0, (0, None))
    ends = [step for step, _ in edges[1:]] + [steps]
    for (begin, fresh), end in zip(edges, ends, strict=True):
        yield begin, end, fresh
