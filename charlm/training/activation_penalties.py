"""Penalties on what the last layer puts out (Merity, McCann & Socher 2017, "Revisiting
Activation Regularization for Language RNNs", eq. 4 and 5).

They are added to what is differentiated, and never to the nats that are reported.
"""

from collections.abc import Sequence

from torch import Tensor

from charlm.model.language_model import Passed
from charlm.model.stack import Border


def activation_penalty(passed: Passed, alpha: float) -> Tensor:
    """AR: alpha mean((m * h_t)^2), with m the mask of output dropout: large outputs cost.

    The papers write a 2-norm; the mean of squares is what their own code takes.
    """
    return alpha * passed.outputs.float().pow(2).mean()


def temporal_activation_penalty(passed: Passed, beta: float, borders: Sequence[Border]) -> Tensor:
    """TAR: beta mean((h_t - h_{t+1})^2) of undropped outputs: quick changes cost.

    Not across a border, where the state was set back to empty.
    """
    change = passed.undropped[1:].float() - passed.undropped[:-1].float()  # (T-1, B, H)
    for step, fresh in borders:
        if step:
            change[step - 1, fresh] = 0
    return beta * change.pow(2).sum() / max(1, change.numel())
