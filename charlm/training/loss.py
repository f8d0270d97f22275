"""The loss: mean cross-entropy of the next token, in nats."""

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from charlm.model.language_model import LanguageModel
from charlm.model.legal import LegalTokens


def cross_entropy(
    model: LanguageModel, outputs: Tensor, targets: Tensor, legal: LegalTokens, states: np.ndarray
) -> Tensor:
    """-log p(target) averaged over outputs (T, B, H), targets (T, B) and their states (T, B)."""
    logits = legal.restrict(model.logits(outputs).flatten(0, 1), states.ravel())
    return F.cross_entropy(logits, targets.flatten())
