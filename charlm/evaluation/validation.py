"""Measuring the model that is being trained on its run's own parts, in fp32."""

from collections.abc import Callable
from dataclasses import replace

import torch

from charlm.errors import DivergedError
from charlm.evaluation.figures import Figures
from charlm.evaluation.measure import count_stretches, measure
from charlm.model.language_model import LanguageModel
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import Tokenizer
from charlm.training.loop import Measured
from charlm.training.step import BLOWN_UP

# While training, so many tokens of the validation text are measured, and all of it at the end:
# a large one must not eat the budget.
VALID_TOKENS = 2**17


class RunMeasurement:
    """The figures of a run's parts under the model as it stands."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        cache: TokenCache,
        check: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.model, self.tokenizer, self.cache, self.check = model, tokenizer, cache, check
        self.say = say
        self.direction = cache.manifest.direction
        if "valid" in cache.parts and len(cache.parts["valid"].ids) > VALID_TOKENS:
            say(f"While training, {VALID_TOKENS:,} tokens of the valid text are measured.")
        self.complete: Figures | None = None  # the last of `valid`, where that was all of it

    def measure(self, part: str, most_tokens: int | None = None) -> Figures:
        """Raises DivergedError for figures that are not finite."""
        text = self.cache.parts[part]
        ids, documents, counts = text.ids, text.documents, text.counts
        source_bits = text.source_bits
        if most_tokens is not None and len(ids) > most_tokens:
            ids = ids[:most_tokens]
            documents = documents[documents < most_tokens]
            ends = [*documents[1:].tolist(), most_tokens]
            stretches = zip(documents.tolist(), ends, strict=True)
            counts = count_stretches(self.tokenizer, ids, stretches, self.direction)
            source_bits = None
        precision, self.model.precision = self.model.precision, torch.float32
        try:
            found = measure(self.model, self.tokenizer, ids, documents, counts, self.check)
        finally:
            self.model.precision = precision
        if not found.nats_per_token < BLOWN_UP:
            raise DivergedError(
                f"training diverged: the {part} text costs {found.nats_per_token:g} nats a token.",
                "Lower --lr or --clip-norm, and start again.",
            )
        return replace(found, source_bits=source_bits)

    def final(self, unchanged: bool) -> dict[str, Figures]:
        """All figures at the end; `unchanged`: the model is the one that `valid` measured last."""
        found: dict[str, Figures] = {}
        for part in ("valid", "test"):
            if part == "valid" and unchanged and self.complete is not None:
                found[part] = self.complete
            elif part in self.cache.parts:
                self.say(f"Measuring the best model on the whole {part} text.")
                found[part] = self.measure(part)
        return found

    def valid(self) -> Measured:
        """The figures of the first VALID_TOKENS tokens, in the order in which they are read."""
        found = self.measure("valid", VALID_TOKENS)
        self.complete = found if found.tokens == len(self.cache.parts["valid"].ids) else None
        return Measured(found.nats_per_token, found.bits_per_character)
