"""A network as it is read back: its configuration, tokenizer and weights, which fit together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from charlm.classifier_settings import SECTION
from charlm.config import Config
from charlm.errors import RunError
from charlm.model.cluster_ranks import RANKS
from charlm.model.ngram_rows import CODES
from charlm.precedence import stored_configuration
from charlm.runs.directory import RunDirectory
from charlm.runs.export import StoredModel
from charlm.settings import AUTO
from charlm.text.tokenizers.base import Tokenizer, load_tokenizer


class StoredNetwork:
    """A language model, unless a subclass says otherwise. RunError: parts that do not fit."""

    def __init__(self, stored: StoredModel) -> None:
        self.stored = stored
        self.config = self._configuration()
        self.tokenizer: Tokenizer = load_tokenizer(stored.tokenizer_files)
        if self.config.tokenizer.tokenizer != self.tokenizer.kind:
            raise RunError(
                f"{stored.path}: the configuration has the tokenizer "
                f"{self.config.tokenizer.tokenizer}, and there is one of {self.tokenizer.kind}",
                "The run was changed; restore it from a copy.",
            )
        size = stored.weights.get(self._embedding)
        if size is None or len(size) != self.tokenizer.vocabulary_size:
            raise RunError(
                f"{stored.path}: the tokenizer has {self.tokenizer.vocabulary_size} tokens, and "
                f"the weights have {0 if size is None else len(size)}",
                "Weights and tokenizer are of different runs; restore them from a copy.",
            )

        ranks = stored.weights.get(RANKS)
        if ranks is not None and not np.array_equal(np.sort(ranks), np.arange(len(size))):
            raise RunError(
                f"{stored.path}: the ranks of the tokens are not 0 to {len(size) - 1}, each once",
                "The weights were changed; restore them from a copy.",
            )

    _embedding = "embedding.weight"  # a row of it for each token

    def _configuration(self) -> Config:
        if SECTION in self.stored.config:
            raise self._no_language_model()
        return stored_configuration(self.stored.config, str(self.stored.path), Config)

    def _no_language_model(self) -> RunError:
        return RunError(
            f"{self.stored.path} is a classifier, which gives classes and no text",
            "Use charlm classify or charlm embed, or name a run of charlm train.",
        )

    def classify_batch(self, texts: Sequence[str], **how: Any) -> Any:
        """A language model knows no classes: RunError."""
        raise self._no_classes()

    @property
    def classes(self) -> tuple[str, ...]:
        """A language model knows none: RunError."""
        raise self._no_classes()

    @property
    def together(self) -> Any:
        """A language model has no words' model beside it: RunError."""
        raise self._no_classes()

    def _no_classes(self) -> RunError:
        return RunError(
            f"{self.stored.path} is a language model, and knows no classes",
            "Make a classifier of it: charlm finetune-classify RUN DATA --out RUN2",
        )

    def info(self) -> dict[str, Any]:
        """Configuration, sizes and scores: the keys of `charlm info --json`."""
        stored = self.stored
        found: dict[str, Any] = {
            "run": str(stored.path),
            "kind": stored.kind,
            "step": stored.step,
            "parameters": sum(
                int(array.size)
                for name, array in stored.weights.items()
                if not name.endswith((CODES, RANKS))
            ),
            "vocabulary_size": self.tokenizer.vocabulary_size,
            "config": {
                section: entries
                for section, entries in asdict(self.config).items()
                if section in stored.config
            },
        }
        if stored.kind == "run":
            summary = RunDirectory.open(stored.path).read_summary()
            found["summary"] = summary and {**summary, "run": str(stored.path)}
        return found

    def settled(self, how: Mapping[str, Any]) -> dict[str, Any]:
        """`how` it is to run, with the number of threads that is the fastest now for "auto"."""
        from charlm.training.precision import MOST_THREADS, fastest_threads

        if how.get("threads", AUTO) != AUTO:
            return dict(how)
        return {**how, "threads": fastest_threads(MOST_THREADS)}
