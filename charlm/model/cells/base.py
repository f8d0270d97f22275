"""What a recurrence is: its equation, its state and how its weights are stacked.

A cell is a description, not a module. It is written once, over any array library
(`Operations`), and used by the reference kernel (torch), by the decoder that
generates without torch (NumPy) and by the tests. Importing a cell imports no torch.

Shapes: B streams, I inputs, H hidden units, G gates.
    weight_ih (G*H, I)   weight_hh (G*H, H)   bias_ih, bias_hh (G*H,)
as in torch.nn, gates in the same order, so that weights convert one to one.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import numpy as np

from charlm import registry

Array = Any  # a torch.Tensor or a numpy.ndarray: the equations do not care
State = tuple[Array, ...]  # each (B, H), in the order of Cell.state_names; the first is the output


class Operations(Protocol):
    """The few functions an equation needs from an array library."""

    def sigmoid(self, x: Array) -> Array: ...

    def tanh(self, x: Array) -> Array: ...

    def relu(self, x: Array) -> Array: ...

    def linear(self, x: Array, weight: Array) -> Array:
        """x (B, H), weight (G*H, H) -> x weight^T (B, G*H)."""
        ...

    def split_rows(self, weight: Array, parts: int) -> tuple[Array, ...]:
        """Cut the rows of weight (G*H, H) into `parts` equal pieces, each for `linear`."""
        ...

    def split(self, x: Array, parts: int) -> tuple[Array, ...]:
        """Cut the last axis into `parts` equal pieces."""
        ...


class Cell(ABC):
    """One recurrence h_t = f_w(h_{t-1}, x_t)."""

    name: ClassVar[str]
    gates: int
    gate_names: ClassVar[tuple[str, ...]]  # in the order in which the weights are stacked
    state_names: tuple[str, ...]
    memory: ClassVar[str] = "h"  # the part of the state that holds what is remembered
    recurrent: ClassVar[bool] = True  # whether products read the state: there are W_hh and b_hh
    gated: ClassVar[bool] = False  # whether gates keep what it puts out at some tenths
    options: ClassVar[tuple[str, ...]] = ()  # settings of `config.Model` that it alone takes

    def initial_bias(self, hidden_size: int) -> np.ndarray:
        """What bias_ih (G*H,) starts at."""
        return np.zeros(self.gates * hidden_size, np.float32)

    @abstractmethod
    def gate_values(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> tuple[Array, ...]:
        """What each of `gate_names` lets through at a step, (B, H) each; arguments of `step`."""

    @abstractmethod
    def step(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> State:
        """One step of the recurrence, straight from the paper.

        gates_x (B, G*H) is W_ih x_t + b_ih; state holds (B, H) arrays; returns the new state,
        whose first member is the output h_t.
        """


def make_cell(name: str, **options: Any) -> Cell:
    """The cell of that name, with those of the options that it takes; None is its own default."""
    kind: type[Cell] = registry.resolve(registry.CELLS, name)
    chosen = {key: options[key] for key in kind.options if options.get(key) is not None}
    return kind(**chosen)
