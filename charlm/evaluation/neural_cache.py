"""The neural cache: what followed moments like this one is more probable now.

    p_cache(v | h_t)    = sum over i of [x_{i+1} = v] exp(theta h_t h_i)  /  the same for all v
    p(v | ...)          = (1 - weight) p_model(v | ...) + weight p_cache(v | h_t)

with h_i the model's output at an earlier place i of the document, at most `size` places back,
and x_{i+1} the token that came next there (Grave et al. 2017, "Improving Neural Language Models
with a Continuous Cache", sec. 3). Of the tokens that it has, those count that are legal at
this place; where there is none, p is p_model, so that the legal tokens' sum is 1 everywhere.
Nothing is learned, and the cache is empty where a document begins.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from charlm.adaptation import CacheSettings
from charlm.evaluation.one_stream import segments
from charlm.evaluation.target_nats import TargetNats
from charlm.model.language_model import LanguageModel
from charlm.text.tokenizers.base import Grammar, Tokenizer

SEGMENT = 512  # tokens read at a time
_MOST_SCORES = 2**22  # held at once: 16 MiB in fp32


def cached_nats(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    settings: CacheSettings,
    check: Callable[[], None] = lambda: None,
) -> Iterator[np.ndarray]:
    """-log p (nats, float64) of all tokens of ids (N,) in order, a segment at a time."""
    target_nats = TargetNats(model, tokenizer.grammar)
    for begin, end in pairwise([*documents.tolist(), len(ids)]):
        cache = NeuralCache(tokenizer.grammar, settings)
        for segment in segments(
            model,
            tokenizer.grammar,
            ids,
            begin,
            end,
            tokenizer.boundary_id,
            SEGMENT,
            differentiable=False,
        ):
            check()
            nats = target_nats(segment.outputs, segment.targets, segment.states)[:, 0]
            outputs = segment.outputs[:, 0].to(model.decoder.bias.dtype)
            yield cache.mixed(outputs, segment.targets[:, 0], segment.states[:, 0], nats)


class NeuralCache:
    """The last M <= `size` outputs of a document, each with the token that came next."""

    def __init__(self, grammar: Grammar, settings: CacheSettings) -> None:
        self.legal = grammar.legal
        self.size, self.theta = settings.cache_size, settings.cache_theta
        self.weight = settings.cache_weight
        self.keys: Tensor | None = None  # (M, H)
        self.tokens = np.zeros(0, np.int64)  # (M,)

    @torch.no_grad()
    def mixed(
        self, outputs: Tensor, targets: np.ndarray, states: np.ndarray, nats: np.ndarray
    ) -> np.ndarray:
        """-log p (T,) of targets (T,), of which the model says `nats`; then they are remembered.

        outputs (T, H) are the model's, states (T,) those of the spelling automaton.
        """
        known = len(self.tokens)
        keys = outputs if self.keys is None else torch.cat([self.keys, outputs])
        tokens = np.concatenate([self.tokens, targets])
        rows = max(1, min(SEGMENT, _MOST_SCORES // (self.size + SEGMENT)))
        found = -nats  # log p_cache; that of the model where the cache has nothing to say
        for first in range(0, len(targets), rows):
            part = slice(first, first + rows)
            place = np.arange(known + first, known + first + len(targets[part]))[:, None]
            seen = np.arange(max(0, known + first - self.size), place[-1, 0] + 1)
            usable = (seen < place) & (seen >= place - self.size)
            usable &= self.legal[:, tokens[seen]][states[part]]
            chances = self._chances(outputs[part], keys[seen[0] : seen[-1] + 1], usable)
            total = chances.sum(1)
            with np.errstate(divide="ignore", invalid="ignore"):
                hits = (chances * (tokens[seen] == targets[part, None])).sum(1) / total
                found[part] = np.where(total > 0, np.log(hits), found[part])
        self.keys, self.tokens = keys[-self.size :].clone(), tokens[-self.size :]
        with np.errstate(divide="ignore"):  # a weight of 0 is allowed, and changes nothing
            log_weight = np.log(self.weight)
        return np.asarray(-np.logaddexp(np.log1p(-self.weight) - nats, log_weight + found))

    def _chances(self, queries: Tensor, keys: Tensor, usable: np.ndarray) -> np.ndarray:
        """exp(theta h_t h_i), each row against its largest, and 0 where not `usable` (R, M)."""
        scores = self.theta * (queries @ keys.T)
        scores.masked_fill_(torch.from_numpy(~usable).to(scores.device), -torch.inf)
        largest = scores.amax(1, keepdim=True).nan_to_num_(neginf=0.0)
        return (scores - largest).exp_().cpu().numpy()
