"""The plain recurrent network (Elman 1990), the lecture's first."""

from charlm.model.cells.base import Array, Cell, Operations, State


class RNN(Cell):
    """A state that is made anew at every step.

        h_t = f(W_hh h_{t-1} + W_xh x_t + b_ih + b_hh)

    f is `nonlinearity`: the lecture's sigmoid, tanh, or relu (with the identity as W_hh the
    IRNN of Le et al. 2015). The lecture has no biases (`--no-bias`). With tanh and relu as
    torch.nn.RNN, whose weights convert one to one.
    """

    name = "rnn"
    gates = 1
    gate_names = ("h",)
    state_names = ("h",)
    options = ("nonlinearity",)

    def __init__(self, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = nonlinearity

    def gate_values(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> tuple[Array, ...]:
        (h,) = state
        z = gates_x + ops.linear(h, weight_hh)  # (B, H)
        if bias_hh is not None:
            z = z + bias_hh
        return (getattr(ops, self.nonlinearity)(z),)

    def step(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> State:
        return self.gate_values(ops, gates_x, state, weight_hh, bias_hh)
