"""A language model read token by token as one stream, in float64, from named weights.

    e = E[x]    h_l = lstm_l(h_{l-1})    logits = W (P h_L) + b    p = (1 - m) softmax + m floor
"""

import numpy as np

from reference.lstm_numpy import Problem, forward


def float64_weights(model):
    return {name: p.detach().double().numpy() for name, p in model.named_parameters()}


class Stream:
    """One stream with its state, which starts empty."""

    def __init__(self, weights):
        self.weights = weights
        self.layers = sum(name.endswith("weight_hh") for name in weights)
        self.reset()

    def reset(self):
        hidden = self.weights["layers.0.weight_hh"].shape[1]
        self.state = [(np.zeros((1, hidden)), np.zeros((1, hidden))) for _ in range(self.layers)]

    def read(self, token):
        """Read a token; the log probabilities (V,) of what comes next."""
        w = self.weights
        x = w["embedding.weight"][token]
        for layer, (h, c) in enumerate(self.state):
            named = [
                w[f"layers.{layer}.{name}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            nothing = np.zeros_like(h)
            _, h, c, _ = forward(Problem(x[None, None], h, c, *named, nothing, nothing, nothing))
            self.state[layer] = (h, c)
            x = h[0]
        if "projection.weight" in w:
            x = w["projection.weight"] @ x
        z = w.get("decoder.weight", w["embedding.weight"]) @ x + w["decoder.bias"]
        return z - z.max() - np.log(np.exp(z - z.max()).sum())


def token_nats(weights, grammar, boundary_id, ids, fresh_at, spelling_at=None):
    """-log p of every token of ids, the state set back to empty before each of `fresh_at`.

    fresh_at: position -> the token that is read there first, unscored (the boundary, or in a
    window the true one before it).
    """
    stream, nats, spelling = Stream(weights), [], 0
    for position, token in enumerate(ids):
        if position in fresh_at:
            stream.reset()
            spelling = 0 if spelling_at is None else spelling_at[position]
            before = fresh_at[position]
        else:
            before = ids[position - 1]
        log_p = stream.read(int(before))[token]
        mass, floor = grammar.floor_mass[spelling], grammar.floor[spelling, token]
        nats.append(-np.log((1 - mass) * np.exp(log_p) + mass * floor))
        spelling = grammar.next_state[spelling, token]
    return np.array(nats)
