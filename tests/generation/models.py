"""Small models for the tests: random weights for the decoder, and one that follows a script."""

import numpy as np

from charlm.generation.decoder import Decoder
from charlm.model.cells.lstm import LSTM


def lstm_weights(vocabulary, embedding, hidden, layers, tied, dtype=np.float32, seed=0):
    """Random weights under the names of a stored model."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(0, 0.5, shape).astype(dtype)

    weights = {"embedding.weight": normal(vocabulary, embedding)}
    for layer in range(layers):
        weights |= {
            f"layers.{layer}.weight_ih": normal(4 * hidden, hidden if layer else embedding),
            f"layers.{layer}.weight_hh": normal(4 * hidden, hidden),
            f"layers.{layer}.bias_ih": normal(4 * hidden),
            f"layers.{layer}.bias_hh": normal(4 * hidden),
        }
    if not tied:
        weights["decoder.weight"] = normal(vocabulary, hidden)
    elif embedding != hidden:
        weights["projection.weight"] = normal(embedding, hidden)
    return weights | {"decoder.bias": normal(vocabulary)}


def small_decoder(vocabulary, seed=0):
    return Decoder(LSTM(), lstm_weights(vocabulary, 5, 6, 2, tied=True, seed=seed))


class Scripted:
    """Wants the ids of `script` one after the other, once `context` ids have been read."""

    def __init__(self, vocabulary, script, context=1):
        self.vocabulary, self.script, self.context = vocabulary, list(script), context
        self.read = []

    def empty_state(self, streams):
        assert streams == 1
        return ()

    def advance(self, ids, state):
        (token,) = ids
        self.read.append(token)
        return (*state, token)

    def logits(self, state):
        wanted = len(state) - self.context
        logits = np.zeros((1, self.vocabulary), np.float32)
        if wanted < len(self.script):
            logits[0, self.script[wanted]] = 60
        return logits
