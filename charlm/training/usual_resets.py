"""How often the state that is carried from window to window is set back to empty."""

from charlm.config_model import Model

# A model that never meets an empty state is at a loss on the first lines of anything.
_NOW_AND_THEN = 0.03


def usual_resets(model: Model) -> tuple[float, str]:
    """The chance a window, and its reason.

    The identity keeps all that relu lets through, so the state of the IRNN has no bound: carried
    on, it grows from window to window while the gradient, which ends with its window, knows
    nothing of it. Le et al. (2015) begin each sequence with zeros, and so does it here.
    """
    if (model.cell, model.nonlinearity, model.init) == ("rnn", "relu", "identity"):
        return 1.0, "with relu and the identity a state that is carried on has no bound"
    return _NOW_AND_THEN, "so that it knows how a text begins"
