"""A trained classifier, ready to classify and to embed."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from charlm.classifier_settings import CLASSES, SECTION, ClassifierConfig
from charlm.errors import UsageError
from charlm.loaded import Model
from charlm.precedence import stored_configuration
from charlm.runs.directory import RunDirectory
from charlm.runs.export import StoredModel
from charlm.storage.reading import damaged

if TYPE_CHECKING:
    import numpy as np

    from charlm.evaluation.together import Together
    from charlm.model.classifier import Classifier
    from charlm.text.text_ids import TextIds

TEMPERATURE = "temperature"
_TEXTS = 512  # classified at once


@dataclass(frozen=True)
class Classified:
    """A text's class, its probability, and the probability of every class."""

    label: str
    probability: float
    probabilities: dict[str, float]


def class_names(config: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What the classes are called, in the order of their numbers. RunError naming `path`."""
    described = config.get(CLASSES)
    names = described.get("names") if isinstance(described, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise damaged(path, "names no classes")
    if len(names) < 2 or len(set(names)) < len(names):
        raise damaged(path, "names a class twice, or fewer than two")
    return tuple(names)


class ClassifierModel(Model):
    """A trained classifier: classes and vectors of texts. It writes nothing and scores nothing."""

    config: ClassifierConfig
    _embedding = "encoders.0.embedding.weight"
    _how: dict[str, Any] | None = None  # as it is run at the moment

    def __init__(self, stored: StoredModel) -> None:
        self._classes = class_names(stored.config, stored.path)
        super().__init__(stored)

    def _configuration(self) -> ClassifierConfig:
        tree = {name: part for name, part in self.stored.config.items() if name != CLASSES}
        return stored_configuration(tree, str(self.stored.path), ClassifierConfig)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of their numbers."""
        return self._classes

    @cached_property
    def temperature(self) -> float:
        """What the logits are divided by; 1 while the run has not ended."""
        if self.stored.kind == "run":
            summary = RunDirectory.open(self.stored.path).read_summary() or {}
            found = summary.get(TEMPERATURE, 1.0)
        else:
            found = self.stored.config[CLASSES].get(TEMPERATURE, 1.0)
        if not isinstance(found, float | int) or not 1e-4 <= found <= 1e4:
            raise damaged(self.stored.path, "has no temperature")
        return float(found)

    @property
    def _words_files(self) -> Mapping[str, bytes]:
        """What was kept of its words' model; nothing where that was not fitted or left behind."""
        if self.stored.kind == "run":
            return RunDirectory.open(self.stored.path).read_together()
        return self.stored.along

    @cached_property
    def together(self) -> "Together":
        """What counts words beside the network. UsageError where none was kept; RunError."""
        from charlm.classifying.kept_words import together_from

        path, files, where = self.stored.path, self._words_files, self.stored.path
        if self.stored.kind == "run":
            where = RunDirectory(path).together
            hint = "Train it again without --no-baseline."
            if self.config.classifier.baseline:
                out = shlex.quote(str(path))
                hint = (
                    "Where it was made by an older charlm, that adds it: rm -f "
                    f"{out}/summary.json && charlm finetune-classify --resume --out {out}. Where "
                    "it has neither validation nor test texts: train it again with some."
                )
        else:
            hint = f"Export the run again: charlm export RUN {shlex.quote(str(path))} --together"
        if not files:
            raise UsageError(
                f"{path} holds no words' model, which answers together with the network", hint
            )
        return together_from(files, len(self.classes), where)

    @cached_property
    def classifier(self) -> "Classifier":
        """The network in torch."""
        from charlm.classifying.network import classifier_architecture
        from charlm.training.checkpointing import check_weights, put_weights

        architecture = classifier_architecture(self.config, len(self.classes), self.tokenizer)
        where = str(self.stored.path)
        check_weights(architecture, self.stored.weights, where)
        model = architecture.build()
        put_weights(model, self.stored.weights, where)
        return model.eval()

    def check(self) -> None:
        """RunError where its weights are not those of its configuration, or of a file what went
        along is not as it was."""
        self.classifier  # noqa: B018
        if self.stored.along:
            self.together  # noqa: B018

    def classify(
        self, texts: Iterable[str], together: bool = False, **how: Any
    ) -> Iterator[Classified]:
        """The class of each text, in order, as they come. together: by the network and by counted
        words, both. `how`: precision, threads, device, kernel."""
        remaining = iter(texts)
        while batch := list(islice(remaining, _TEXTS)):
            yield from self.classify_batch(batch, together, **how)

    def classify_batch(
        self, texts: Sequence[str], together: bool = False, **how: Any
    ) -> list[Classified]:
        """The same of texts that are all at hand, read side by side."""
        found = self.probabilities(texts, together, **how)
        answers = found.argmax(axis=1)
        return [
            Classified(
                self.classes[answer],
                float(row[answer]),
                dict(zip(self.classes, row.tolist(), strict=True)),
            )
            for answer, row in zip(answers.tolist(), found, strict=True)
        ]

    def probabilities(
        self, texts: Sequence[str], together: bool = False, **how: Any
    ) -> "np.ndarray":
        """(N, C), calibrated on the validation texts; `together` as in `classify`."""
        from charlm.evaluation.calibration import probabilities_at
        from charlm.evaluation.reading_texts import logits_of

        self._ready(**how)
        logits = logits_of(self.classifier, self._to_read(texts))
        if together:
            return self.together.probabilities(logits, texts)
        return probabilities_at(logits, self.temperature)

    def _to_read(self, texts: Sequence[str]) -> "TextIds":
        from charlm.classifying.network import directions_of
        from charlm.evaluation.reading_texts import texts_to_read

        most = self.config.classifier.max_length
        return texts_to_read(texts, self.tokenizer, directions_of(self.config), most)

    def embed(self, texts: Sequence[str], pooling: str | None = None, **how: Any) -> "np.ndarray":
        """Vectors (N, F) of texts: what the encoders and the pooling make of them."""
        from charlm.evaluation.reading_texts import vectors_of

        self._ready(**how)
        kind = pooling or self.config.classifier.pooling
        return vectors_of(self.classifier.readers, kind, self._to_read(texts))

    def _ready(self, **how: Any) -> None:
        """Put the network where and how it is to run, unless it is there already."""
        from charlm.evaluation.device import workplace

        if self._how != how:
            place, dtype = workplace(**how)
            self.classifier.to(place)
            self.classifier.run_with(how.get("kernel", "auto"), dtype)
            self._how = how

    def own_parts(self) -> dict[str, Any]:
        """What goes into an exported file beside what every model has."""
        # Which encoders there are is told without naming the run that the second came from.
        settings = asdict(self.config.classifier) | {"lm_text": None, "unlabelled_text": None}
        if settings["backward"] is not None:
            settings["backward"] = "exported"
        names = {"names": list(self.classes), TEMPERATURE: self.temperature}
        return {SECTION: settings, CLASSES: names}

    def info(self) -> dict[str, Any]:
        """As of any run, its classes, and whether `classify --together` is possible."""
        more = {"classes": list(self.classes), "together": bool(self._words_files)}
        return {**super().info(), "task": "classifier", **more}

    @property
    def language_model(self) -> NoReturn:
        """There is none."""
        raise self._no_language_model()

    def decoder(self, *how: Any, **more: Any) -> NoReturn:
        """There is none."""
        raise self._no_language_model()


def network_of(stored: StoredModel) -> Model:
    """What is stored: a language model, or a `ClassifierModel`. RunError: parts that do not fit."""
    return ClassifierModel(stored) if SECTION in stored.config else Model(stored)
