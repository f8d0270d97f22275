"""What a model charges for a text to which it adapts on the way, and how fast that goes.

With mixtures with counts (as of `CountedText.mixed`) there are two figures: that of the adapting
model, and that of the mixture of it with the counts.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from charlm.adaptation import CacheSettings, DynamicSettings
from charlm.evaluation.adapting import Say, learning
from charlm.evaluation.figures import Figures
from charlm.evaluation.measure import summed
from charlm.evaluation.neural_cache import CachedReading
from charlm.model.count_mixture import CountMixture
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
    mixtures: Sequence[CountMixture] = (),
) -> list[Figures]:
    """Every token of ids (N,) once, by dynamic evaluation; the model is left as it was.

    training_ids: what the model was trained on, where there is some of it.
    """
    with learning(model, tokenizer, settings, training_ids, say) as evaluation:
        parts = _timed("Dynamic evaluation", evaluation.read(ids, documents), len(ids), say)
        return summed(parts, tokenizer, ids, documents, counts, mixtures)


def measure_cached(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    documents: np.ndarray,
    counts: TextCounts,
    settings: CacheSettings,
    say: Say,
    mixtures: Sequence[CountMixture] = (),
) -> list[Figures]:
    """Every token of ids (N,) once, with a neural cache beside the model."""
    found = CachedReading(model, tokenizer, settings).read(ids, documents)
    parts = _timed("Neural cache", found, len(ids), say)
    return summed(parts, tokenizer, ids, documents, counts, mixtures)


def _timed(what: str, parts: Iterator[np.ndarray], tokens: int, say: Say) -> Iterator[np.ndarray]:
    seconds = 0.0
    while True:
        begin = time.monotonic()
        part = next(parts, None)
        seconds += time.monotonic() - begin
        if part is None:
            break
        yield part
    say(
        f"{what}: {tokens:,} tokens in {seconds:.1f} s, {tokens / max(seconds, 1e-9):,.0f} a second"
    )
