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
# Over a text of many words so many passes learn most at the usual rate, more at a lower one
# (scripts/LOG.md, "The rate of words" and "More dropout for words").
_PASSES_OVER_WORDS = 1.5


def usual_rate(optimizer: str, model: Model, over_words: float = 0.0) -> tuple[float, str]:
    """The peak rate at which a network of these sizes learns from the beginning, and its reason.

    over_words: how many passes there are over a text with so large a vocabulary that a step learns
    from a sample of it. Of more than 1.5 the rate falls with the root of their number.
    """
    lr = _REFERENCE_LR[optimizer]
    if optimizer in BY_GRADIENT_ALONE:
        return lr, "for gradients cut to norm 1"
    lr *= min(1.5, math.sqrt(REFERENCE_WIDTH / model.hidden_size)) / model.layers
    reason = f"{optimizer}, for {model.layers} x {model.hidden_size} hidden units"
    if over_words > _PASSES_OVER_WORDS:
        lr *= math.sqrt(_PASSES_OVER_WORDS / over_words)
        reason += f" and {over_words:.1f} passes over words"
    return lr, reason
