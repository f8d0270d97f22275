"""Every cell in NumPy, from its equations: gate by gate and stream by stream, nothing stacked.

Shares no layout with what is tested; only GATES knows in which order a matrix holds its gates.
"""

import numpy as np

from reference.lstm_numpy import sigmoid

GATES = {
    "lstm": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
    "gru-cho": ("r", "z", "n"),
    "rnn": ("h",),
}
WINDOWS = ("feedforward", "conv")
NONLINEARITIES = {"sigmoid": sigmoid, "tanh": np.tanh, "relu": lambda z: np.where(z > 0, z, 0)}


def step(cell, nonlinearity, W, U, b, d, x, state, m):
    """One step of one stream. W, U (H, I) and (H, H) by gate, b and d their biases, m (H,) the
    mask on whatever U multiplies."""
    h, *rest = state
    if cell == "rnn":
        return [NONLINEARITIES[nonlinearity](W["h"] @ x + b["h"] + U["h"] @ (m * h) + d["h"])]
    z_of = {name: W[name] @ x + b[name] + U[name] @ (m * h) + d[name] for name in GATES[cell]}
    if cell == "lstm":
        c = sigmoid(z_of["f"]) * rest[0] + sigmoid(z_of["i"]) * np.tanh(z_of["g"])
        return [sigmoid(z_of["o"]) * np.tanh(c), c]
    r, z = sigmoid(z_of["r"]), sigmoid(z_of["z"])
    if cell == "gru":
        n = np.tanh(W["n"] @ x + b["n"] + r * (U["n"] @ (m * h) + d["n"]))
        return [(1 - z) * n + z * h]
    n = np.tanh(W["n"] @ x + b["n"] + U["n"] @ (m * (r * h)) + d["n"])
    return [(1 - z) * h + z * n]


def window(f, x, state, weight_ih, bias):
    """A window over x (T, B, I), written out: every place adds up what is in its own window.

    state: h, and what the places after the start have from the inputs before it. The places
    past the end, N - 1 of them, have the sums that are left.
    """
    T, B, _ = x.shape
    N = len(state)
    W, b = np.split(weight_ih, N), np.split(bias, N)
    z = np.zeros((T + N - 1, B, W[0].shape[0]))
    for t in range(T + N - 1):
        for stream in range(B):
            for k in range(N):
                if 0 <= t - k < T:
                    z[t, stream] += W[k] @ x[t - k, stream] + b[k]
            if t < N - 1:
                z[t, stream] += state[1 + t][stream]
    y = f(z[:T])
    return y, [y[-1], *z[T:]]


def run(cell, nonlinearity, x, state, weight_ih, weight_hh, bias_ih, bias_hh, mask=None, zone=None):
    """x (T, B, I) -> y (T, B, H) and the last state, a list of (B, H)."""
    T, B, _ = x.shape
    if cell in WINDOWS:
        return window(NONLINEARITIES[nonlinearity], x, state, weight_ih, bias_ih + bias_hh)
    H = weight_hh.shape[1]
    W, U, b, d = (
        dict(zip(GATES[cell], np.split(part, len(GATES[cell])), strict=True))
        for part in (weight_ih, weight_hh, bias_ih, bias_hh)
    )
    m = np.ones((B, H)) if mask is None else np.broadcast_to(mask, (B, H))
    state = [part.copy() for part in state]
    y = np.zeros((T, B, H))
    for t in range(T):
        for stream in range(B):
            old = [part[stream].copy() for part in state]
            new = step(cell, nonlinearity, W, U, b, d, x[t, stream], old, m[stream])
            for number, part in enumerate(new):
                if zone is not None:
                    stays = zone[number][t, stream]
                    part = stays * old[number] + (1 - stays) * part
                state[number][stream] = part
            y[t, stream] = state[0][stream]
    return y, state
