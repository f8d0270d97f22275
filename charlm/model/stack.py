"""L layers of a cell over time, with dropout between them; state in, state out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from charlm import registry
from charlm.draws import Draws
from charlm.model import dropout
from charlm.model.cells.base import Cell, State
from charlm.model.dropout import DropoutRates
from charlm.model.initialisation import xavier_uniform
from charlm.model.kernels import reference
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
    stay in the parameters' dtype.
    """

    def __init__(self, cell: Cell, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.cell = cell
        self.hidden_size = hidden_size
        rows = cell.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.zeros(rows))
        self.bias_hh = nn.Parameter(torch.zeros(rows))

    def initialise(self, init: str, generator: torch.Generator) -> None:
        """Draw the weights; biases start at zero but for what the cell says."""
        xavier_uniform(self.weight_ih, generator)
        registry.resolve(registry.INITIALISATIONS, init)(self.weight_hh, generator)
        with torch.no_grad():
            self.bias_ih.copy_(torch.from_numpy(self.cell.initial_bias(self.hidden_size)))
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
        state = (state[0].to(precision), *state[1:])
        hidden_mask = drop.hidden_mask if drop.hidden_mask is None else drop.hidden_mask.to(x)
        library = provider(self.cell.name, x, hidden_mask) if kernel == "auto" else None
        if library is not None:
            y, state = library(x, state, *weights)
        elif kernel == "reference":
            y, state = reference.run(self.cell, x, state, *weights, hidden_mask)
        else:
            fused = registry.resolve(registry.FUSED_KERNELS, self.cell.name)
            y, state = fused(x, state, *weights, hidden_mask)
        return y, tuple(part.to(self.weight_hh.dtype) for part in state)


class RecurrentStack(nn.ModuleList):
    """Layers on top of each other: each reads the output of the one below."""

    cell: Cell

    def __init__(self, cell: Cell, layers: int, input_size: int, hidden_size: int) -> None:
        super().__init__(
            RecurrentLayer(cell, hidden_size if layer else input_size, hidden_size)
            for layer in range(layers)
        )
        self.cell = cell

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

        Without draws nothing is dropped. All masks are drawn once and hold for all T steps.
        """
        rates = rates or DropoutRates()
        after = []
        for number, (layer, layer_state) in enumerate(zip(self, state, strict=True)):
            if number:
                x = dropout.locked(x, rates.inter_layer, draws, f"inter-layer {number}")
            drop = dropout.temporal(layer.weight_hh, x.shape[1], rates, draws, f"temporal {number}")
            outputs = []
            for piece, fresh in _pieces(x, borders):
                if fresh is not None:
                    layer_state = tuple(part * ~fresh.unsqueeze(1) for part in layer_state)
                y, layer_state = layer(piece, layer_state, drop, kernel, precision)
                outputs.append(y)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
            after.append(layer_state)
        return x, tuple(after)


def _pieces(x: Tensor, borders: Sequence[Border]) -> Iterator[tuple[Tensor, Tensor | None]]:
    """x cut at the borders, each piece with the streams that start afresh there."""
    edges: list[tuple[int, Tensor | None]] = list(borders)
    if not edges or edges[0][0] != 0:
        edges.insert(0, (0, None))
    ends = [step for step, _ in edges[1:]] + [len(x)]
    for (begin, fresh), end in zip(edges, ends, strict=True):
        yield x[begin:end], fresh
