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


def run(cell, nonlinearity, x, state, weight_ih, weight_hh, bias_ih, bias_hh, mask=None, zone=None):
    """x (T, B, I) -> y (T, B, H) and the last state, a list of (B, H)."""
    T, B, _ = x.shape
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
