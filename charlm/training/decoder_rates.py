"""At which rate the layer onto the vocabulary learns: a factor on --lr.

A step of Adam moves each weight by about eta, so W h by up to eta (|h_1| + ... + |h_H|). Gates keep
what a layer puts out at some tenths: W moves its logits by less than other weights move what they
give, and may go faster. What plain layers put out is larger, and they lose by it. Found by trying
(scripts/LOG.md, "The layer onto the vocabulary"). The first weights are larger for the same reason
(`model.language_model`).
"""

from collections.abc import Callable

from charlm.config_model import Model
from charlm.model.cells.base import Cell
from charlm.settings import AUTO
from charlm.training.usual_rates import BY_GRADIENT_ALONE

FASTER = 3.0


def usual_factor(optimizer: str, model: Model, cell: Cell) -> tuple[float, str]:
    """That of a network of these sizes, and the reason."""
    if decodes_with_embedding(model):
        return 1.0, "it is the embedding"
    if model.init_from is not None:
        return 1.0, "weights that have begun"
    if optimizer in BY_GRADIENT_ALONE:
        return 1.0, "the gradient alone says how far"
    if not cell.gated:
        return 1.0, "what a plain layer puts out is large"
    return FASTER, "what a gated layer puts out is small"


def decodes_with_embedding(model: Model) -> bool:
    """Whether W is the embedding, of the last layer's size, with no projection before it."""
    last = model.hidden_size if model.last_hidden_size == AUTO else model.last_hidden_size
    return bool(model.tie_weights and model.embedding_size == last)


def decoder_factors(factor: float) -> Callable[[str], float]:
    """Of each weight by its name, where the layer's matrices have `factor`. Tied, W is the
    embedding, and it is P alone."""

    def of(name: str) -> float:
        there = name.startswith(("decoder.", "projection."))
        return factor if there and name.endswith(".weight") else 1.0

    return of
