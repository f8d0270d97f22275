"""Networks that have learned nothing yet, one for each way to carry a gradient."""

from typing import NamedTuple

import torch

from charlm import registry
from charlm.draws import Draws
from charlm.model.language_model import Architecture, LanguageModel


class Fresh(NamedTuple):
    """A cell, how its recurrent weights begin, and what they are multiplied by."""

    cell: str
    nonlinearity: str | None = None
    init: str = "orthogonal"
    gain: float = 1.0


SIGMOID = Fresh("rnn", "sigmoid")
TANH = Fresh("rnn", "tanh")
RELU = Fresh("rnn", "relu")
IDENTITY_RELU = Fresh("rnn", "relu", "identity")  # the IRNN of Le et al. 2015
EXPLODING_RELU = Fresh("rnn", "relu", "identity", 1.2)
LSTM = Fresh("lstm")
GRU = Fresh("gru")
CHO_GRU = Fresh("gru-cho")


def fresh_network(name: str, vocabulary_size: int, hidden_size: int, seed: int) -> LanguageModel:
    """One layer of that kind, as wide as its embedding, as training would begin with it."""
    kind: Fresh = registry.resolve(registry.FRESH_NETWORKS, name)
    architecture = Architecture(
        vocabulary_size, kind.cell, 1, hidden_size, hidden_size, False,
        nonlinearity=kind.nonlinearity,
    )  # fmt: skip
    model = LanguageModel(architecture).initialise(kind.init, Draws(seed, 0))
    with torch.no_grad():
        for layer in model.layers:
            layer.weight_hh.mul_(kind.gain)
    return model
