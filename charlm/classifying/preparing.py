"""The first step of a classifier's run: its texts into the caches, and numbers for every `auto`."""

from dataclasses import dataclass

from charlm.classifying.labelled_cache import LabelledTexts, sources_of, write_texts
from charlm.classifying.network import directions_of
from charlm.classifying.planning import ClassifierPlan, resolve
from charlm.classifying.request import ClassifierRequest
from charlm.classifying.unlabelled import count_unlabelled
from charlm.loaded import Model
from charlm.planning import tokenizer_settings
from charlm.runs.directory import LANGUAGE_MODELS, RunDirectory
from charlm.settings import AUTO
from charlm.text.labelled_splits import Division
from charlm.text.token_cache import TokenCache, prepare
from charlm.text.tokenizers.base import Tokenizer, TokenizerSettings
from charlm.training.interrupt import Interruption
from charlm.training.listener import Listener


@dataclass
class Preparation:
    """Of one run directory, whose lock is held or which no one else knows."""

    run: RunDirectory
    request: ClassifierRequest
    listener: Listener
    interruption: Interruption

    def prepare(
        self, division: Division, sources: list[Model]
    ) -> tuple[ClassifierPlan, LabelledTexts, Tokenizer]:
        """Put the texts into the caches, and find the numbers for every `auto`."""
        config = self.request.config
        tokenizer: Tokenizer | TokenizerSettings = (
            sources[0].tokenizer if sources else tokenizer_settings(config)
        )
        lm_tokens, grow = 0, bool(sources)
        pretrains = config.classifier.lm_epochs != 0 and (
            bool(sources) or config.classifier.lm_epochs != AUTO
        )
        if pretrains:
            for name, direction in zip(LANGUAGE_MODELS, directions_of(config), strict=False):
                cache, tokenizer = self._read_for_language_model(
                    name, direction, division, tokenizer, grow
                )
                lm_tokens, grow = len(cache.parts["train"].ids), False
        texts, known = write_texts(
            division, self.run.cache, tokenizer, grow, self._progress, self.listener.say
        )
        plan = resolve(config, texts, lm_tokens, TokenCache.open(self.run.cache), known)
        return plan, texts, known

    def _read_for_language_model(
        self,
        name: str,
        direction: str,
        division: Division,
        tokenizer: Tokenizer | TokenizerSettings,
        grow: bool,
    ) -> tuple[TokenCache, Tokenizer]:
        """The texts, and more without labels, into the cache of a run inside the run."""
        corpus, more = self.request.config.corpus, self.request.config.classifier.lm_text
        nested = RunDirectory.create(self.run.path / name, force=True)
        return prepare(
            [*sources_of(division.train), *([] if more is None else [more])],
            folder=nested.cache,
            fit_or_tokenizer=tokenizer,
            grow=grow,
            valid=sources_of(division.valid) or None,
            valid_fraction=0,
            direction=direction,
            encoding=corpus.encoding,
            errors=corpus.errors,
            say=self.listener.say,
            progress=self._progress,
        )

    def count_words(self, division: Division, sources: list[Model]) -> None:
        """Which go together in text without labels, into the run; of a point of a curve as its run
        has it."""
        if self.request.semantics:
            self.run.write_semantics(self.request.semantics)
            return
        count_unlabelled(
            self.run,
            self.request.config,
            [row.text for row in division.train],
            len(division.classes),
            sources[0] if sources else None,
            self.listener.say,
            self.interruption.check,
        )

    def _progress(self, characters: int) -> None:
        self.interruption.check()
        self.listener.reading(characters)
