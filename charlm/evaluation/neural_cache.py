"""The neural cache: what followed moments like this one is more probable now.

    p_cache(v | h_t)    = sum over i of [x_{i+1} = v] exp(theta h_t h_i)  /  the same for all v
    p(v | ...)          = (1 - weight) p_model(v | ...) + weight p_cache(v | h_t)

with h_i the model's output at an earlier place i of the document, at most `size` places back,
and x_{i+1} the token that came next there (Grave et al. 2017, "Improving Neural Language Models
with a Continuous Cache", sec. 3). Of the tokens that it has, those count that are legal at
this place; where there is none, p is p_model, so that the legal tokens' sum is 1 everywhere.
Nothing is learned.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from charlm.adaptation import CacheSettings
from charlm.evaluation.one_stream import OneStream
from charlm.evaluation.target_nats import TargetNats
from charlm.model.language_model import LanguageModel
from charlm.text.tokenizers.base import Grammar, Tokenizer

SEGMENT = 512  # tokens read at a time
_MOST_SCORES = 2**22  # held at once: 16 MiB in fp32


class CachedReading:
    """A model that reads on with a cache beside it."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        settings: CacheSettings,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.grammar, self.settings, self.check = tokenizer.grammar, settings, check
        self.dtype = model.embedding.weight.dtype
        self.target_nats = TargetNats(model, tokenizer.grammar)
        self._stream = OneStream(model, tokenizer.grammar, tokenizer.boundary_id)
        self.forget()

    def forget(self) -> None:
        """Empty the cache."""
        self._cache = NeuralCache(self.grammar, self.settings)

    def begin(self) -> None:
        """Go to the empty state; the cache stays."""
        self._stream.begin()

    def read(self, ids: np.ndarray, documents: np.ndarray) -> Iterator[np.ndarray]:
        """-log p (nats, float64) of all tokens of ids (N,) in order, a segment at a time, each
        document from the empty state and with an empty cache."""
        for begin, end in pairwise([*documents.tolist(), len(ids)]):
            self.forget()
            self.begin()
            yield from self.read_on(ids[begin:end])

    def read_on(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """The same from the state in which the reading stands, with the cache as it is."""
        for segment in self._stream.segments(ids, SEGMENT, differentiable=False):
            self.check()
            nats = self.target_nats(segment.outputs, segment.targets, segment.states)[:, 0]
            outputs = segment.outputs[:, 0].to(self.dtype)
            yield self._cache.mixed(outputs, segment.targets[:, 0], segment.states[:, 0], nats)


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
