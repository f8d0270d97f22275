"""The LSTM in NumPy, from the equations, with back-propagation through time by hand.

    f = sigmoid(W_f [h, x] + b_f)    i = sigmoid(W_i [h, x] + b_i)    g = tanh(W_C [h, x] + b_C)
    o = sigmoid(W_o [h, x] + b_o)    c' = f c + i g                   h' = o tanh(c')

Written gate by gate and stream by stream, with nothing stacked, so that it shares no layout
with what is tested; only `cut` knows that the gates lie in the order i, f, g, o.
"""

from dataclasses import dataclass

import numpy as np

GATES = ("i", "f", "g", "o")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cut(stacked):
    """(4H, ...) -> one array a gate."""
    return dict(zip(GATES, np.split(np.asarray(stacked, np.float64), 4), strict=True))


def join(gates):
    return np.concatenate([gates[name] for name in GATES])


@dataclass
class Problem:
    """Inputs of a pass over a sequence, and the gradients that come from above."""

    x: np.ndarray  # (T, B, I)
    h0: np.ndarray  # (B, H)
    c0: np.ndarray
    weight_ih: np.ndarray  # (4H, I)
    weight_hh: np.ndarray  # (4H, H)
    bias_ih: np.ndarray  # (4H,)
    bias_hh: np.ndarray
    grad_y: np.ndarray  # (T, B, H)
    grad_h: np.ndarray  # (B, H), of the last state
    grad_c: np.ndarray
    mask: np.ndarray | None = None  # (1, H) or (B, H)

    NAMES = ("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


def problem(seed=0, T=3, B=4, I=5, H=6, mask=None):  # noqa: E741
    """Random numbers; mask is None, "shared" or "stream"."""
    rng = np.random.default_rng(seed)
    shapes = [(T, B, I), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,), (4 * H,)]
    shapes += [(T, B, H), (B, H), (B, H)]
    rows = {"shared": 1, "stream": B}
    m = None if mask is None else (rng.random((rows[mask], H)) < 0.6) / 0.6
    return Problem(*(rng.normal(0, 0.7, shape) for shape in shapes), m)


def forward(p):
    """y (T, B, H), h (B, H), c (B, H) and what `backward` needs."""
    T, B, _ = p.x.shape
    W, U = cut(p.weight_ih), cut(p.weight_hh)
    b = {name: cut(p.bias_ih)[name] + cut(p.bias_hh)[name] for name in GATES}
    m = np.ones_like(p.h0) if p.mask is None else np.broadcast_to(p.mask, p.h0.shape)
    y = np.zeros((T, *p.h0.shape))
    h, c, tape = p.h0.copy(), p.c0.copy(), []
    for t in range(T):
        steps = []
        for n in range(B):
            read = h[n] * m[n]
            z = {name: W[name] @ p.x[t, n] + U[name] @ read + b[name] for name in GATES}
            i, f, o = sigmoid(z["i"]), sigmoid(z["f"]), sigmoid(z["o"])
            g, before = np.tanh(z["g"]), c[n].copy()
            c[n] = f * before + i * g
            h[n] = o * np.tanh(c[n])
            y[t, n] = h[n]
            steps.append((read, i, f, g, o, before, c[n].copy()))
        tape.append(steps)
    return y, h, c, tape


def backward(p, tape):
    """The gradient of sum(y grad_y) + sum(h grad_h) + sum(c grad_c) for each input by name."""
    T, B, _ = p.x.shape
    W, U = cut(p.weight_ih), cut(p.weight_hh)
    m = np.ones_like(p.h0) if p.mask is None else np.broadcast_to(p.mask, p.h0.shape)
    dW = {name: np.zeros_like(W[name]) for name in GATES}
    dU = {name: np.zeros_like(U[name]) for name in GATES}
    db = {name: np.zeros(U[name].shape[0]) for name in GATES}
    dx, dh, dc = np.zeros_like(p.x), p.grad_h.copy(), p.grad_c.copy()
    for t in reversed(range(T)):
        for n in range(B):
            read, i, f, g, o, before, after = tape[t][n]
            up = dh[n] + p.grad_y[t, n]
            s = np.tanh(after)
            d_cell = dc[n] + up * o * (1 - s**2)
            dz = {
                "o": up * s * o * (1 - o),
                "f": d_cell * before * f * (1 - f),
                "i": d_cell * g * i * (1 - i),
                "g": d_cell * i * (1 - g**2),
            }
            for name in GATES:
                dW[name] += np.outer(dz[name], p.x[t, n])
                dU[name] += np.outer(dz[name], read)
                db[name] += dz[name]
            dx[t, n] = sum(W[name].T @ dz[name] for name in GATES)
            dh[n] = sum(U[name].T @ dz[name] for name in GATES) * m[n]
            dc[n] = d_cell * f
    return {
        "x": dx,
        "h0": dh,
        "c0": dc,
        "weight_ih": join(dW),
        "weight_hh": join(dU),
        "bias_ih": join(db),
        "bias_hh": join(db),
    }
