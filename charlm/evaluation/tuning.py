"""How a model adapts best: settings chosen on a text that is not the one to be measured.

Each setting in turn is moved by a factor, up or else down, as long as the text gets cheaper
(coordinate descent on the logarithms of the settings).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from charlm.adaptation import CACHE_STEPS, DYNAMIC_STEPS, CacheSettings, DynamicSettings
from charlm.errors import DivergedError, UsageError
from charlm.evaluation.adapting import learning
from charlm.evaluation.dynamic_rules import usual_rate
from charlm.evaluation.measure import measure
from charlm.evaluation.neural_cache import CachedReading
from charlm.model.language_model import LanguageModel
from charlm.settings import AUTO
from charlm.text.counts import TextCounts
from charlm.text.tokenizers.base import Tokenizer

TOKENS = 10_000  # are enough
TEMPERATURE_STEP = 1.02

Chosen = TypeVar("Chosen", DynamicSettings, CacheSettings)


class Tuning:
    """A text ids (N,) to choose on for `model`: it is read for each attempt.

    training_ids: what the model was trained on, for the rms rule's usual gradients.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        ids: np.ndarray,
        documents: np.ndarray,
        training_ids: np.ndarray | None,
    ) -> None:
        self.model, self.tokenizer, self.training_ids = model, tokenizer, training_ids
        self.ids, self.documents = ids, documents

    def temperature(self) -> float:
        """The one at which the model is neither too sure nor too unsure."""

        def nats(temperature: float) -> float:
            about = self.model, self.tokenizer, self.ids, self.documents, TextCounts()
            return measure(*about, temperature=temperature).nats

        return descend(1.0, TEMPERATURE_STEP, nats)

    def dynamic(self, settings: DynamicSettings) -> DynamicSettings:
        """The rate and the decay, from those of `settings` on."""
        if settings.dynamic_lr == AUTO:
            settings = replace(settings, dynamic_lr=usual_rate(settings.dynamic_rule))
        return _each(settings, DYNAMIC_STEPS, self._learning_nats)

    def cache(self, settings: CacheSettings) -> CacheSettings:
        """Theta and the weight, from those of `settings` on."""
        return _each(settings, CACHE_STEPS, self._cached_nats)

    def _learning_nats(self, settings: DynamicSettings) -> float:
        about = self.model, self.tokenizer, settings, self.training_ids
        with learning(*about, lambda message: None) as evaluation:
            try:
                return _sum(evaluation.read(self.ids, self.documents))
            except DivergedError:
                return math.inf

    def _cached_nats(self, settings: CacheSettings) -> float:
        reading = CachedReading(self.model, self.tokenizer, settings)
        return _sum(reading.read(self.ids, self.documents))


def descend(start: float, factor: float, cost: Callable[[float], float]) -> float:
    """The least of start, start * factor, ... as far as it falls, else of start / factor, ..."""
    best, least = start, cost(start)
    for way in (factor, 1 / factor):
        while (found := cost(tried := float(f"{best * way:.3g}"))) < least:
            best, least = tried, found
        if best != start:
            break
    return best


def _each(settings: Chosen, steps: Mapping[str, float], nats: Callable[[Chosen], float]) -> Chosen:
    for name, factor in steps.items():
        cost = partial(_cost, nats, settings, name)
        settings = _with(settings, name, descend(getattr(settings, name), factor, cost))
    return settings


def _cost(nats: Callable[[Chosen], float], settings: Chosen, name: str, value: float) -> float:
    try:
        return nats(_with(settings, name, value))
    except UsageError:  # out of its range
        return math.inf


def _with(settings: Chosen, name: str, value: float) -> Chosen:
    changed: dict[str, Any] = {name: value}
    return replace(settings, **changed)


def _sum(parts: Iterable[np.ndarray]) -> float:
    return sum(float(part.sum()) for part in parts)
