"""A language model read as one stream, in float64, from named weights.

e = E[x]    h_l = lstm_l(h_{l-1})    y = W (P h_L) + b
p(v) = (1 - m_s) exp(y_v) / (sum over legal u of exp(y_u)) + m_s floor_{s,v}
"""

import numpy as np

from reference.lstm_numpy import Problem, forward


def float64_weights(model):
    return {name: p.detach().double().numpy() for name, p in model.named_parameters()}


def outputs(weights, inputs):
    """(N, H) of the last layer after each of the tokens `inputs` (N,), from the empty state."""
    x = weights["embedding.weight"][inputs][:, None]  # (N, 1, E)
    layers = sum(name.endswith("weight_hh") for name in weights)
    for layer in range(layers):
        named = [
            weights[f"layers.{layer}.{name}"]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        zeros = np.zeros((1, named[1].shape[1]))
        x, *_ = forward(Problem(x, zeros, zeros, *named, zeros, zeros, zeros))
    return x[:, 0]


def logits(weights, inputs):
    """(N, V) after each of the tokens `inputs` (N,), from the empty state."""
    y = outputs(weights, inputs)
    if "projection.weight" in weights:
        y = y @ weights["projection.weight"].T
    return (
        y @ weights.get("decoder.weight", weights["embedding.weight"]).T + weights["decoder.bias"]
    )


def token_nats(weights, grammar, ids, before, spelling=0):
    """-log p of every token of ids (N,), read from the empty state after the token `before`,
    the spelling automaton in the state `spelling`."""
    nats = []
    for token, y in zip(ids, logits(weights, [before, *ids[:-1]]), strict=True):
        chances = np.where(grammar.legal[spelling], np.exp(y - y.max()), 0)
        q = chances[token] / chances.sum()
        mass, floor = grammar.floor_mass[spelling], grammar.floor[spelling, token]
        nats.append(-np.log((1 - mass) * q + mass * floor))
        spelling = grammar.next_state[spelling, token]
    return np.array(nats)
