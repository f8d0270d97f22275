"""Ways for a model to adapt to what it reads, each made ready by what a person chose.

Both read on from where they stand (`begin`, `read_on`): a whole text, or line after line.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from charlm.adaptation import Beside, DynamicSettings
from charlm.evaluation.dynamic import DynamicEvaluation
from charlm.evaluation.dynamic_rules import Rms
from charlm.evaluation.neural_cache import CachedReading
from charlm.model.language_model import LanguageModel
from charlm.text.tokenizers.base import Tokenizer

Say = Callable[[str], None]


class Adapting(Protocol):
    """A model that adapts as it reads."""

    def begin(self) -> None:
        """Go to the empty state; what was learned or remembered stays."""
        ...

    def read_on(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """-log p (nats, float64) of all tokens of ids (N,) in order, a part at a time."""
        ...


def learning(
    model: LanguageModel,
    tokenizer: Tokenizer,
    settings: DynamicSettings,
    training_ids: np.ndarray | None,
    say: Say,
) -> DynamicEvaluation:
    """Dynamic evaluation of `model` itself; training_ids: what it was trained on, where there is
    some of it."""
    evaluation = DynamicEvaluation(model, tokenizer, settings)
    if isinstance(evaluation.rule, Rms):
        if training_ids is None:
            say(
                "Dynamic evaluation: the training text is not there; usual gradients are taken "
                "from this text as it goes."
            )
        else:
            evaluation.note_usual_gradients(training_ids)
    return evaluation


def adapting_copies(
    model: LanguageModel,
    tokenizer: Tokenizer,
    beside: Beside,
    training_ids: np.ndarray | None,
    say: Say,
) -> dict[str, Adapting]:
    """By name, those that are asked for; `model` itself learns nothing."""
    found: dict[str, Adapting] = {}
    if beside.dynamic is not None:
        # Tables of n-grams do not learn here: shared, for they are large.
        twin = copy.deepcopy(model, {id(table): table for table in model.tables})
        found["dynamic"] = learning(twin, tokenizer, beside.dynamic, training_ids, say)
    if beside.cache is not None:
        found["cache"] = CachedReading(model, tokenizer, beside.cache)
    return found
