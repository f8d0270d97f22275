"""Long Short-Term Memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

import numpy as np

from charlm.model.cells.base import Array, Cell, Operations, State


class LSTM(Cell):
    """A cell state that gates let information into and out of.

        f_t = sigmoid(W_f [h_{t-1}, x_t] + b_f)         what to forget
        i_t = sigmoid(W_i [h_{t-1}, x_t] + b_i)         what to add
        g_t = tanh(W_C [h_{t-1}, x_t] + b_C)            the candidates (the lecture's C~_t)
        c_t = f_t * c_{t-1} + i_t * g_t                 the cell state
        o_t = sigmoid(W_o [h_{t-1}, x_t] + b_o)         what to show
        h_t = o_t * tanh(c_t)                           the output

    The lecture's equations, with [h, x] cut into W_hh h + W_ih x. Gate order i, f, g, o and two
    bias vectors as in torch.nn.LSTM, whose weights convert one to one.
    """

    name = "lstm"
    gated = True
    gates = 4
    gate_names = ("i", "f", "g", "o")
    state_names = ("h", "c")
    memory = "c"
    options = ("forget_bias",)

    def __init__(self, forget_bias: float = 1.0) -> None:
        self.forget_bias = forget_bias

    def initial_bias(self, hidden_size: int) -> np.ndarray:
        """`forget_bias` for the forget gate, else 0.

        1, the default, makes it remember at first (Jozefowicz et al. 2015).
        """
        bias = super().initial_bias(hidden_size)
        bias[hidden_size : 2 * hidden_size] = self.forget_bias
        return bias

    def gate_values(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> tuple[Array, ...]:
        h, _ = state
        z = gates_x + ops.linear(h, weight_hh)  # (B, 4H)
        if bias_hh is not None:
            z = z + bias_hh
        z_i, z_f, z_g, z_o = ops.split(z, 4)  # (B, H) each
        return ops.sigmoid(z_i), ops.sigmoid(z_f), ops.tanh(z_g), ops.sigmoid(z_o)

    def step(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> State:
        i, f, g, o = self.gate_values(ops, gates_x, state, weight_hh, bias_hh)
        c = f * state[1] + i * g
        return o * ops.tanh(c), c
