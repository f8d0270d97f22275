"""At which rate the layer onto the vocabulary learns: a factor on --lr.

A step of Adam moves each weight by about eta, so W h by up to eta (|h_1| + ... + |h_H|). Gates keep
what a recurrent layer puts out at some tenths: the layer that reads it moves its logits by less
than the gates move what they read, and may go faster. Found by trying (scripts/LOG.md, "The layer
onto the vocabulary"). The first weights are larger for the same reason (`model.softmax`).
"""

from collections.abc import Callable

from charlm.training.usual_rates import BY_GRADIENT_ALONE

FACTOR = 3.0


def decoder_rate(optimizer: str, lr: float) -> tuple[float, str]:
    """The peak rate of its matrices beside `lr`, and the reason."""
    if optimizer in BY_GRADIENT_ALONE:
        return lr, "as all else"
    return FACTOR * lr, "what it reads is small"


def decoder_factors(ratio: float) -> Callable[[str], float]:
    """The factor of each weight by its name, where those matrices learn at `ratio` of --lr. Tied,
    W is the embedding, and it is P alone."""

    def factor(name: str) -> float:
        there = name.startswith(("decoder.", "projection."))
        return ratio if there and name.endswith(".weight") else 1.0

    return factor
