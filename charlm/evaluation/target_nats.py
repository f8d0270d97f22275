"""-log p of tokens, given what a model puts out before them.

    p(v | ...) = (1 - m_s) q_v + m_s floor_{s,v}

with s the state of the spelling automaton and q the softmax over its legal tokens, of the logits
divided by a temperature (1 where none is named): tokens that
training hardly ever met keep a floor, so that every text has finite bits
(`text.tokenizers.base.Grammar`).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.model.language_model import LanguageModel
from charlm.model.legal import LegalTokens
from charlm.text.tokenizers.base import Grammar

# Held at once, 8 MiB in fp32: near the processor they are made, normed and forgotten in half the
# time that 64 MiB take (V = 33,279, 64 units, one thread: 5,000 tokens a second, not 2,000).
_MOST_LOGITS = 2**21


class TargetNats:
    """The price of targets under a model, as its weights stand when it is asked."""

    def __init__(self, model: LanguageModel, grammar: Grammar, temperature: float = 1.0) -> None:
        self.model, self.grammar, self.temperature = model, grammar, temperature
        self.device = model.device
        self.legal = LegalTokens(grammar.legal, self.device)

    @torch.no_grad()
    def __call__(self, outputs: Tensor, targets: np.ndarray, states: np.ndarray) -> np.ndarray:
        """-log p in nats (T, B), float64, of targets (T, B) in the automaton's states (T, B).

        outputs (T, B, H) are the model's; its logits are made and forgotten in parts. A target
        that is illegal where it stands costs infinity.
        """
        wanted = torch.from_numpy(targets.ravel().astype(np.int64)).to(self.device)
        flat, before = outputs.flatten(0, 1), states.ravel()
        total = torch.zeros(len(wanted), dtype=torch.float64)
        if self.temperature != 1:
            # Of the whole distribution, and not of each choice.
            total = self._costs(lambda part: self._tempered(flat[part], before[part]), wanted)
        else:
            for choice in self.model.choices(flat, wanted, self.legal, before):
                rows = slice(None) if choice.rows is None else choice.rows.cpu()
                total[rows] += self._costs(choice.logits, choice.targets, len(choice.weight))
        return self._with_floor(total.numpy().reshape(targets.shape), targets, states)

    def _tempered(self, outputs: Tensor, states: np.ndarray) -> Tensor:
        return self.legal.restrict(self.model.logits(outputs).div_(self.temperature), states)

    def _costs(
        self, logits: Callable[[slice], Tensor], targets: Tensor, columns: int | None = None
    ) -> Tensor:
        """-log softmax (N,), float64, at targets (N,), of so many logits each (None: V)."""
        rows = max(1, _MOST_LOGITS // (columns or self.model.architecture.vocabulary_size))
        # One array for all: small ones between the large would keep the memory of those.
        found = torch.empty(len(targets), dtype=torch.float64)
        for begin in range(0, len(targets), rows):
            part = slice(begin, begin + rows)
            found[part] = F.cross_entropy(logits(part), targets[part], reduction="none")
        return found

    def _with_floor(
        self, softmax: np.ndarray, targets: np.ndarray, states: np.ndarray
    ) -> np.ndarray:
        """-log p of -log q; in logarithms, for q may be too small for a float."""
        mass = self.grammar.floor_mass[states]
        # Most tokens have no floor; a model that has diverged puts out what is no number.
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = np.log(mass * self.grammar.floor[states, targets])
            return np.asarray(-np.logaddexp(np.log1p(-mass) - softmax, floor))
