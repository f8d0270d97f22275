"""A softmax over some of a large vocabulary, drawn anew at each step: what training needs of one.

Token v comes into the sample D of a step with probability r_v, each by itself; and at a place
whose next token is t the softmax is over D and t:

    loss = -log  exp(y_t - log r_t) / sum over v in D + {t} of exp(y_v - log r_v)

That is -log p(t | D + {t}) for a t from softmax(y): if v were the target, the others would have
come by chance, which has probability in proportion to 1 / r_v. So the loss is least where that of
the whole softmax is (sampled softmax: Jean et al. 2015, "On using very large target vocabulary for
neural machine translation", sec. 3; chance as in Bengio & Senecal 2008).

    r_v = min(1, c (n_v + 1)^(3/4))       n_v: how often v is in the text; c: so that as many come
                                          as were asked for, in the mean

Frequent tokens are always there, and those that others are spelled with. Measuring and writing know
nothing of this: they have the whole.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from charlm.draws import Draws
from charlm.model.softmax import Choice

_POWER = 0.75  # between the text's own frequencies and all alike (scripts/LOG.md)


def inclusion(counts: np.ndarray, always: np.ndarray, size: int) -> np.ndarray:
    """r (V,) for tokens seen counts (V,) times: 1 for those of `always` (V,), and of the others
    about `size` come, 1 or more."""
    weights = (counts + 1.0) ** _POWER
    r, free = np.ones(len(counts)), ~always
    # Whoever would come more than surely comes surely, and the others share what is left.
    while free.any():
        left = size - (r[~free & ~always].sum())
        r[free] = weights[free] * (left / weights[free].sum())
        over = free & (r >= 1)
        if not over.any():
            break
        r[over], free = 1.0, free & ~over
    return r


class VocabularySample:
    """Draws D for the steps of a run; r (V,) as `inclusion` gives it."""

    def __init__(self, r: np.ndarray, seed: int, device: torch.device) -> None:
        self.seed = seed
        self._r = torch.from_numpy(r).float().to(device)
        self._cost = -self._r.log()

    def of(self, step: int) -> Callable[[Choice], Choice]:
        """What makes of a choice out of V tokens one out of those of a step."""
        return partial(self.among, drawn=self.at(step))

    def at(self, step: int) -> Tensor:
        """D (K,) of a step, the same in all processes, by rising number."""
        drawn = Draws(self.seed, step).uniform("vocabulary", self._r.shape, device=self._r.device)
        return (drawn < self._r).nonzero().squeeze(1)

    def among(self, whole: Choice, drawn: Tensor) -> Choice:
        """The choice among D = drawn (K,), and at each place its target, in place of all V."""
        place = torch.full(self._r.shape, -1, device=drawn.device)
        place[drawn] = 0
        guests = whole.targets[place[whole.targets] < 0].unique()
        there = torch.cat([drawn, guests])
        place[there] = torch.arange(len(there), device=drawn.device)
        assert whole.bias is not None and whole.legal is not None
        return whole._replace(
            weight=whole.weight[there],
            bias=whole.bias[there] + self._cost[there].to(whole.bias.dtype),
            targets=place[whole.targets],
            legal=whole.legal.of(there),
            guests=len(guests),
        )
