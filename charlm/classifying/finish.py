"""What is measured and kept when a classifier has learned.

Figures, calibration, the wrong answers, and what its words' model is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.kept_words import files_of
from charlm.classifying.labelled_cache import LabelledTexts
from charlm.classifying.unlabelled import kept_semantics
from charlm.evaluation.calibration import probabilities_at
from charlm.evaluation.classifier_summary import Answered, classifier_summary
from charlm.evaluation.wrong_answers import write_wrong_answers, wrong_answers
from charlm.runs.directory import RunDirectory
from charlm.text.tokenizers.base import Tokenizer
from charlm.training.interrupt import Interruption, at_once
from charlm.training.listener import Listener


@dataclass
class Finish:
    """The end of a classifier's training."""

    run: RunDirectory
    config: ClassifierConfig
    texts: LabelledTexts
    tokenizer: Tokenizer
    listener: Listener
    interruption: Interruption

    def write(self, summary: dict[str, Any], logits: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """`summary` and the figures of logits (N, C) of valid and test, those there are."""
        classes = self.texts.classes
        parts = {part: self._answered(part, logits.get(part)) for part in ("valid", "test")}
        baseline = self.config.classifier.baseline and bool(logits)
        if baseline and self.tokenizer.unknown_id is not None:
            self.listener.say("No baseline: with --word-oov unk not all words are kept.")
            baseline = False
        if baseline:
            self.listener.say("Fitting what words tell: TF-IDF and logistic regression.")
        with at_once(self.interruption):
            figures, together = classifier_summary(
                self.texts.texts("train", self.tokenizer) if baseline else [],
                self.texts.labels["train"],
                parts,
                classes,
                baseline=baseline,
                class_weights=self.config.classifier.class_weights,
                seed=self.config.optimisation.seed,
                semantics=kept_semantics(self.run) if baseline else None,
            )
        summary |= figures
        if logits:
            part = "test" if "test" in logits else "valid"
            probabilities = probabilities_at(logits[part], summary["temperature"])
            texts, labels, _ = parts[part]
            found = wrong_answers(texts, self.texts.rows[part], labels, probabilities, classes)
            write_wrong_answers(self.run.path, found)
        if together is not None:
            self.run.write_together(files_of(together))
        self.run.write_summary(summary)
        return summary

    def _answered(self, part: str, logits: np.ndarray | None) -> Answered:
        if logits is None:
            return Answered([], np.empty(0, np.int64), np.empty((0, len(self.texts.classes))))
        return Answered(self.texts.texts(part, self.tokenizer), self.texts.labels[part], logits)
