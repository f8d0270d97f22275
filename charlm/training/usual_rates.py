"""At which peak rate a language model learns, by optimiser, size and passes over many words."""

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
# Over a text of many words the more passes there are the lower the best rate. Rates were compared
# at 20 passes, where a third of the usual one was best, and at three and four, where the usual one
# was; what lies between is a rule (scripts/LOG.md, "The rate of words", "More dropout for words").
_PASSES_AT_THE_USUAL = 1.5


def usual_rate(optimizer: str, model: Model, sampled_passes: float = 0.0) -> tuple[float, str]:
    """The peak rate at which a network of these sizes learns from the beginning, and its reason.

    sampled_passes: how many there are over a text with so large a vocabulary that a step learns
    from a sample of it, else 0. Of more than 1.5 the rate falls with the root of their number.
    """
    lr = _REFERENCE_LR[optimizer]
    if optimizer in BY_GRADIENT_ALONE:
        return lr, "for gradients cut to norm 1"
    lr *= min(1.5, math.sqrt(REFERENCE_WIDTH / model.hidden_size)) / model.layers
    reason = f"{optimizer}, for {model.layers} x {model.hidden_size} hidden units"
    if sampled_passes > _PASSES_AT_THE_USUAL:
        lr *= math.sqrt(_PASSES_AT_THE_USUAL / sampled_passes)
        reason += f" and {sampled_passes:.1f} passes over a large vocabulary"
    return lr, reason
