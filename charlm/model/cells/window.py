"""Networks without recurrence, for comparison: what they know of the past is a window of inputs."""

from charlm.model.cells.base import Array, Cell, Operations, State


class Window(Cell):
    """What the last N inputs say, each by weights of its own for its place.

        z_t = sum_{k=0}^{N-1} (W_k x_{t-k} + b_k)          h_t = f(z_t)

    Before the first input there is <pad>: it adds nothing, not even b_k, so that -b_k is what it
    means at its place. weight_ih stacks W_0 ... W_{N-1}, as gates are stacked, and there is no
    W_hh. An input adds to the N sums that it is part of as soon as it is read, so the state is
    h and what is there already of the coming sums,

        s^j_t = sum_{k=j}^{N-1} (W_k x_{t+j-k} + b_k)      j = 1 ... N-1

    of which z_t = W_0 x_t + b_0 + s^1_{t-1} and s^j_t = W_j x_t + b_j + s^{j+1}_{t-1}: the same
    streams, exact evaluation and decoder serve as for a recurrence. f is `nonlinearity`, N
    `context`.
    """

    gate_names = ("h",)
    options = ("nonlinearity", "context")
    recurrent = False

    def __init__(self, nonlinearity: str, context: int) -> None:
        self.nonlinearity = nonlinearity
        self.gates = context
        self.state_names = ("h", *(f"s{j}" for j in range(1, context)))

    def gate_values(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> tuple[Array, ...]:
        return self.step(ops, gates_x, state, weight_hh, bias_hh)[:1]

    def step(
        self,
        ops: Operations,
        gates_x: Array,
        state: State,
        weight_hh: Array,
        bias_hh: Array | None = None,
    ) -> State:
        if bias_hh is not None:
            gates_x = gates_x + bias_hh
        *parts, last = ops.split(gates_x, self.gates)  # (B, H) each, for now and the steps to come
        z, *sums = [*(part + s for part, s in zip(parts, state[1:], strict=True)), last]
        return (getattr(ops, self.nonlinearity)(z), *sums)


class Feedforward(Window):
    """The network of Bengio et al. (2003): one hidden layer over the last N words.

    Their eq. 1 without direct connections, y = b + U tanh(d + H x), x the vectors of N words one
    after the other: each place has weights of its own for all words, nothing is known of what
    lies before, and a text's beginning is padded.
    """

    name = "feedforward"

    def __init__(self, nonlinearity: str = "tanh", context: int = 8) -> None:
        super().__init__(nonlinearity, context)


class Convolution(Window):
    """A causal convolution over time, as wide as N steps; L layers see L (N - 1) + 1 of them."""

    name = "conv"

    def __init__(self, nonlinearity: str = "relu", context: int = 4) -> None:
        super().__init__(nonlinearity, context)
