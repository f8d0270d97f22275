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
# Words that are seen a few times each, in many passes (scripts/LOG.md, "The rate of words").
_OF_SAMPLED_WORDS = 1 / 3


def usual_rate(optimizer: str, model: Model, sampled: bool = False) -> tuple[float, str]:
    """The peak rate at which a network of these sizes learns from the beginning, and its reason.

    sampled: its vocabulary is so large that a step learns from a sample of it.
    """
    lr = _REFERENCE_LR[optimizer]
    if optimizer in BY_GRADIENT_ALONE:
        return lr, "for gradients cut to norm 1"
    reason = f"{optimizer}, for {model.layers} x {model.hidden_size} hidden units"
    if sampled:
        lr, reason = lr * _OF_SAMPLED_WORDS, f"{reason} and words seen a few times each"
    return lr * min(1.5, math.sqrt(REFERENCE_WIDTH / model.hidden_size)) / model.layers, reason
