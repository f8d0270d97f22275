"""Gated Recurrent Unit of Cho et al. (2014), the lecture's: the reset gate before the product."""

from charlm.model.cells.base import Array, Cell, Operations, State


class ChoGRU(Cell):
    """The lecture's GRU.

        z_t  = sigmoid(W_z [h_{t-1}, x_t])             how much of the new comes in
        r_t  = sigmoid(W_r [h_{t-1}, x_t])             how much of the old the candidates see
        h~_t = tanh(W [r_t * h_{t-1}, x_t])            the candidates
        h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    The lecture's equations have no biases (`--no-bias`); with them, b_ih + b_hh stands inside
    each function. In z = 1 the new replaces the old: the lecture's sense, and the opposite of
    the one in Cho et al. (2014, eq. 7) and in torch (`gru`). Gate order r, z, n, with n for
    h~, as in `gru`.
    """

    name = "gru-cho"
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
        if bias_hh is not None:
            gates_x = gates_x + bias_hh
        x_r, x_z, x_n = ops.split(gates_x, 3)  # (B, H) each
        w_r, w_z, w_n = ops.split_rows(weight_hh, 3)  # (H, H) each
        r = ops.sigmoid(x_r + ops.linear(h, w_r))
        z = ops.sigmoid(x_z + ops.linear(h, w_z))
        return r, z, ops.tanh(x_n + ops.linear(r * h, w_n))

    def step(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> State:
        _, z, n = self.gate_values(ops, gates_x, state, weight_hh, bias_hh)
        return ((1 - z) * state[0] + z * n,)
