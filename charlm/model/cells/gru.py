"""Gated Recurrent Unit as torch and cuDNN have it: the reset gate after the matrix product."""

from charlm.model.cells.base import Array, Cell, Operations, State


class GRU(Cell):
    """One gate that keeps the old state, one that lets it into the new one.

        r_t = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)           reset
        z_t = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)           how much of the old stays
        n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_{t-1} + b_hn))      the candidates
        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    As torch.nn.GRU, whose weights convert one to one; gate order r, z, n. It differs from the
    lecture's (`gru-cho`) in two things: r acts on the product and not on h_{t-1}, so that one
    product a step will do; and z has the opposite sense: here z = 1 keeps the old state.
    """

    name = "gru"
    gated = True
    gates = 3
    gate_names = ("r", "z", "n")
    state_names = ("h",)

    def gate_values(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> tuple[Array, ...]:
        (h,) = state
        gates_h = ops.linear(h, weight_hh)  # (B, 3H)
        if bias_hh is not None:
            gates_h = gates_h + bias_hh
        x_r, x_z, x_n = ops.split(gates_x, 3)  # (B, H) each
        h_r, h_z, h_n = ops.split(gates_h, 3)
        r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
        return r, z, ops.tanh(x_n + r * h_n)

    def step(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> State:
        _, z, n = self.gate_values(ops, gates_x, state, weight_hh, bias_hh)
        return ((1 - z) * n + z * state[0],)
