"""The loss: mean cross-entropy of the next token, in nats."""

from torch import Tensor
from torch.nn import functional as F

from charlm.model.language_model import LanguageModel


def cross_entropy(model: LanguageModel, outputs: Tensor, targets: Tensor) -> Tensor:
    """-log p(target) averaged over outputs (T, B, H) and targets (T, B)."""
    return F.cross_entropy(model.logits(outputs).flatten(0, 1), targets.flatten())
