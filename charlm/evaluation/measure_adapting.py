"""What a model charges for a text to which it adapts on the way, and how fast that goes."""

import time
from collections.abc import Iterator

import numpy as np

from charlm.adaptation import CacheSettings, DynamicSettings
from charlm.evaluation.adapting import Say, learning
from charlm.evaluation.figures import Figures
from charlm.evaluation.neural_cache import CachedReading
from charlm.model.language_model import LanguageModel
from charlm.text.counts import TextCounts
from charlm.text.tokenizers.base import Tokenizer


def measure_dynamic(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    settings: DynamicSettings,
    training_ids: np.ndarray | None,
    say: Say,
) -> Figures:
    """Every token of ids (N,) once, by dynamic evaluation; the model is left as it was.

    training_ids: what the model was trained on, where there is some of it.
    """
    with learning(model, tokenizer, settings, training_ids, say) as evaluation:
        nats = _timed_sum("Dynamic evaluation", evaluation.read(ids, documents), len(ids), say)
    return Figures(nats, len(ids), counts, tokenizer.count_unknown(ids))


def measure_cached(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    settings: CacheSettings,
    say: Say,
) -> Figures:
    """Every token of ids (N,) once, with a neural cache beside the model."""
    found = CachedReading(model, tokenizer, settings).read(ids, documents)
    nats = _timed_sum("Neural cache", found, len(ids), say)
    return Figures(nats, len(ids), counts, tokenizer.count_unknown(ids))


def _timed_sum(what: str, parts: Iterator[np.ndarray], tokens: int, say: Say) -> float:
    begin = time.monotonic()
    nats = sum(float(part.sum()) for part in parts)
    seconds = time.monotonic() - begin
    say(
        f"{what}: {tokens:,} tokens in {seconds:.1f} s, {tokens / max(seconds, 1e-9):,.0f} a second"
    )
    return nats
