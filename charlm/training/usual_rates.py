"""At which peak rate a language model learns, by optimiser and size."""

import math

from charlm.config_model import Model

# Measured on Tiny Shakespeare with one layer of this width (others than adamw: scripts/LOG.md).
REFERENCE_WIDTH = 384
_REFERENCE_LR = {
    "sgd": 8.0,
    "nt-asgd": 8.0,
    "rmsprop": 20e-3,
    "adam": 20e-3,
    "adamw": 20e-3,
    "muon": 20e-3,
}
BY_GRADIENT_ALONE = ("sgd", "nt-asgd")


def usual_rate(optimizer: str, model: Model) -> float:
    """The peak rate at which a network of these sizes learns from the beginning."""
    lr = _REFERENCE_LR[optimizer]
    if optimizer in BY_GRADIENT_ALONE:
        return lr
    return lr * min(1.5, math.sqrt(REFERENCE_WIDTH / model.hidden_size)) / model.layers
