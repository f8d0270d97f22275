"""From logits to a token: one uniform number a token, so sample i never depends on the others."""

import numpy as np
import numpy.typing as npt

from charlm.draws import Draws
from charlm.generation.filters import Logits


def choose(logits: Logits, uniform: float) -> int:
    """The token whose piece of the cumulative distribution holds `uniform` (0 to 1).

    Inverse transform: the first v with sum_{u <= v} p_u > uniform, summed in float64.
    Never a token of probability zero, not even where uniform rounds to 1.
    logits (V,), at least one finite.
    """
    mass = np.exp(logits.astype(np.float64) - logits.max()).cumsum()  # (V,)
    total = mass[-1]
    last = int(mass.searchsorted(total, "left"))  # the last token that adds to the sum
    return min(int(mass.searchsorted(uniform * total, "right")), last)


def negative_log_probability(logits: Logits, token: int) -> float:
    """-log softmax(logits)[token] in nats; logits (V,)."""
    shifted = logits.astype(np.float64) - logits.max()
    return float(np.log(np.exp(shifted).sum()) - shifted[token])


class Sampler:
    """The draws of one sample: a function of (seed, sample index, position) alone."""

    def __init__(self, seed: int, sample_index: int) -> None:
        self._uniforms = Draws(seed, sample_index).numpy("sample")

    def draw(self, logits: Logits) -> int:
        """The next token of this sample; logits (V,). Uses up one uniform, greedy or not."""
        return choose(logits, self._uniforms.random())

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """The numbers that so many draws would use up (count,)."""
        return self._uniforms.random(count)
