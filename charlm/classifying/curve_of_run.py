"""The learning curve of a classifier's run: each of its points is a classifier, for a while.

The transferred ones begin with the language model of the run, which has read all training texts
(without their labels), and words go together as it was counted in them and in other text without
labels; those from scratch have the same sizes, and weights drawn anew.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charlm.classifier_settings import ClassifierConfig, ClassifierSettings
from charlm.classifying.labelled_cache import LabelledTexts, open_texts
from charlm.classifying.learning_curve import (
    BASELINE,
    SCRATCH,
    TRANSFERRED,
    Point,
    label_counts,
    learning_curve,
)
from charlm.classifying.planning import asked_config, stored_config
from charlm.classifying.request import ClassifierRequest, CurveRequest
from charlm.classifying.run import finetune
from charlm.config_text import Corpus
from charlm.errors import Interrupted
from charlm.runs.directory import LANGUAGE_MODELS, RunDirectory
from charlm.settings import AUTO
from charlm.text.labelled import LabelledRow
from charlm.text.labelled_splits import Division
from charlm.text.tokenizers.base import Tokenizer, load_tokenizer
from charlm.training.listener import Listener


def curve_of_run(
    request: ClassifierRequest, curve: CurveRequest, summary: Mapping[str, Any], listener: Listener
) -> dict[str, Any]:
    """The summary of a run that has been trained, with its `learning_curve`, on disk too."""
    run = RunDirectory.open(request.out)
    with run.lock():
        texts, tokenizer = open_texts(run.cache), load_tokenizer(run.read_tokenizer())
        division = _division(texts, tokenizer)
        counts = label_counts(curve.counts, curve.fractions, division)
        run.learning_curve.mkdir(mode=0o700, exist_ok=True)
        # Every point finds its own numbers for `auto`.
        points = _Points(asked_config(run), stored_config(run), run, division)
        try:
            found = learning_curve(
                division,
                counts,
                curve.repeats,
                points.options.optimisation.seed,
                points.ways,
                points.train,
                run.learning_curve,
                listener.say,
            )
        except Interrupted as interrupted:
            interrupted.hint = (
                f"The curve of {shlex.quote(str(run.path))} goes on where it was: give the same "
                "command with --resume."
            )
            raise
        summary = {**summary, "learning_curve": found}
        run.write_summary(summary)
    return summary


def _division(texts: LabelledTexts, tokenizer: Tokenizer) -> Division:
    """The parts as they were, from the run's own cache."""
    parts: dict[str, list[LabelledRow]] = {"train": [], "valid": [], "test": []}
    parts |= {
        part: [
            LabelledRow(text, texts.classes[label], row)
            for text, label, row in zip(
                texts.texts(part, tokenizer), labels.tolist(), texts.rows[part], strict=True
            )
        ]
        for part, labels in texts.labels.items()
    }
    return Division(**parts, classes=texts.classes)


@dataclass
class _Points:
    """How the points of one run are trained."""

    options: ClassifierConfig
    stored: ClassifierConfig  # with a number for every `auto`
    run: RunDirectory
    division: Division

    @property
    def ways(self) -> list[str]:
        pretrained = [TRANSFERRED] if self._sources()[0] is not None else []
        baseline = [BASELINE] if self.stored.classifier.baseline else []
        return [*pretrained, SCRATCH, *baseline]

    def train(self, point: Point, out: Path) -> dict[str, Any]:
        """The summary of a classifier that learns from the texts of the point."""
        config = self._transferred() if point.way == TRANSFERRED else self._from_scratch()
        config = replace(
            config,
            corpus=replace(Corpus(), valid_fraction=0.0, test_fraction=0.0),
            optimisation=replace(config.optimisation, seed=point.seed),
            classifier=replace(config.classifier, baseline=point.baseline, lm_epochs=0.0),
        )
        request = ClassifierRequest(
            out=out,
            config=config,
            data=point.train,
            valid=point.valid,
            test=self.division.test,
            resume=(out / "config.toml").exists(),
            semantics=self.run.read_semantics(),
        )
        return finetune(request, Listener())

    def _sources(self) -> list[str | None]:
        """What the run itself began with, after it had been fine-tuned on the texts."""
        if self.stored.classifier.lm_epochs:
            own = [self.run.path / name for name in LANGUAGE_MODELS]
            return [str(path) if path.exists() else None for path in own]
        return [self.stored.model.init_from, self.stored.classifier.backward]

    def _classifier(self) -> ClassifierSettings:
        """More text has been read, and its words counted, by the run."""
        return replace(self.options.classifier, lm_text=None, unlabelled_text=None, lm_lr=AUTO)

    def _transferred(self) -> ClassifierConfig:
        first, second = self._sources()
        classifier = replace(self._classifier(), backward=second)
        model = replace(self.options.model, init_from=first)
        return replace(self.options, model=model, classifier=classifier)

    def _from_scratch(self) -> ClassifierConfig:
        classifier = replace(self._classifier(), backward=None)
        # Their tokens are fewer than those whose clusters the run has, and none is predicted.
        model = replace(self.stored.model, init_from=None, softmax="full", cutoffs=AUTO)
        return replace(
            self.options, model=model, tokenizer=self.stored.tokenizer, classifier=classifier
        )
