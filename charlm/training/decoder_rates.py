"""At which rate the layer onto the vocabulary learns: a factor on --lr.

A step of Adam moves each weight by about eta, so W h by up to eta (|h_1| + ... + |h_H|). Gates keep
what a layer puts out at some tenths: W moves its logits by less than other weights move what they
give, and may go faster. What plain layers put out is larger, and they lose by it. Found by trying
(scripts/LOG.md, "The layer onto the vocabulary"). The first weights are larger for the same reason
(`model.language_model`).
"""

from collections.abc import Callable

from charlm.model.cells.base import Cell
from charlm.training.usual_rates import BY_GRADIENT_ALONE

FACTOR = 3.0


def decoder_rate(optimizer: str, lr: float, cell: Cell) -> tuple[float, str]:
    """The peak rate of its matrices beside `lr`, and the reason."""
    if optimizer in BY_GRADIENT_ALONE or not cell.gated:
        return lr, "as all else"
    return FACTOR * lr, "what a gated layer puts out is small"


def decoder_factors(ratio: float) -> Callable[[str], float]:
    """The factor of each weight by its name, where those matrices learn at `ratio` of --lr. Tied,
    W is the embedding, and it is P alone."""

    def factor(name: str) -> float:
        there = name.startswith(("decoder.", "projection."))
        return ratio if there and name.endswith(".weight") else 1.0

    return factor
