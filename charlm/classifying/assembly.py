"""The parts of a classifier's training, built from its configuration, and put to work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from charlm import registry
from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.finish import Finish
from charlm.classifying.labelled_cache import LabelledTexts
from charlm.classifying.network import classifier_architecture, directions_of
from charlm.draws import Draws, Share
from charlm.evaluation.calibration import probabilities_at
from charlm.evaluation.classification import figures
from charlm.evaluation.reading_texts import logits_of, vectors_of
from charlm.loaded import Model
from charlm.model.classifier import Classifier
from charlm.model.kernels import libraries
from charlm.planning import rates_of
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory
from charlm.runs.metrics import MetricsLog
from charlm.saved_training import SavedTraining
from charlm.settings import AUTO
from charlm.text.sources import shown
from charlm.text.text_ids import TextIds
from charlm.text.tokenizers.base import Tokenizer
from charlm.training import checkpointing, memory
from charlm.training.averaging import Averages, rule_for
from charlm.training.budget import Budget
from charlm.training.classification import Classification
from charlm.training.classifier_rates import rate_factors
from charlm.training.interrupt import Interruption
from charlm.training.listener import Listener
from charlm.training.loop import Loop, Measured
from charlm.training.ranks import Ranks
from charlm.training.state import Evaluations, TrainingState
from charlm.transfer import mapped

# Of which a head is told what all texts have in common: so many tokens take seconds to read, and
# the mean of 128 texts is off by a twelfth of their deviation.
_USUAL_TOKENS, _USUAL_TEXTS = 2**17, 128


@dataclass
class ClassifierAssembly:
    """Network, task, optimiser and measurement of a run whose lock is held.

    started: on the clock of time.monotonic, when this phase began; spent: the seconds that came
    before it in the run.
    """

    run: RunDirectory
    config: ClassifierConfig
    texts: LabelledTexts
    tokenizer: Tokenizer
    listener: Listener
    interruption: Interruption
    started: float
    spent: float
    language_models: list[dict[str, Any]]

    def train(
        self, checkpoint: checkpoints.Checkpoint | None, sources: list[Model]
    ) -> dict[str, Any]:
        """Train from a checkpoint, or from the weights of the sources, to the end; the summary."""
        self._build(checkpoint)
        if checkpoint is None:
            self._begin(sources)
        self.saved.put_back(checkpoint or self.saved.beginning())
        loop = self._loop(self.saved.restored(checkpoint))
        loop.run()
        about = self.run, self.config, self.texts, self.tokenizer
        finish = Finish(*about, self.listener, self.interruption)
        best = checkpoints.load(self.run, "best-else-last", groups=("weights",))
        checkpointing.put_weights(self.model, best.groups["weights"], str(best.path))
        state = loop.state
        summary = {
            "run": shown(self.run.path),
            "classes": list(self.texts.classes),
            **{f"n_{part}": len(labels) for part, labels in self.texts.labels.items()},
            "seconds": self.spent + state.seconds,
            "tokens_per_second": state.tokens / max(state.step_seconds, 1e-9),
            "padding": self.task.batches.padding(),
            "epochs": state.epoch,
            "steps": state.step,
            "best_step": best.step,
            "parameters": self.model.architecture.parameters(),
            "language_models": self.language_models,
        }
        return finish.write(summary, {part: self._logits(part) for part in self._measured()})

    def _measured(self) -> list[str]:
        return [part for part in ("valid", "test") if part in self.texts.labels]

    def _build(self, checkpoint: checkpoints.Checkpoint | None) -> None:
        config = self.config
        o, c = config.optimisation, config.classifier
        memory.keep()
        torch.set_num_threads(o.threads)
        self.architecture = classifier_architecture(config, len(self.texts.classes), self.tokenizer)
        if checkpoint is not None:
            weights = checkpoint.groups["weights"]
            checkpointing.check_weights(self.architecture, weights, str(checkpoint.path))
        libraries.settle()
        self.model = self._fresh_model().to(torch.device(o.device))
        self.precision = torch.bfloat16 if o.precision == "bf16" else torch.float32
        self.model.run_with(o.kernel, self.precision)
        self.ids = {part: self._ids(part) for part in self.texts.labels}
        self.task = Classification(
            self.model,
            self.ids["train"],
            self.texts.labels["train"],
            o.batch_size,
            rates_of(config),
            config.rate("output_dropout"),
            o.bptt,
            o.seed,
            self.tokenizer.grammar,
            self.tokenizer.boundary_id,
            self._class_weights(),
            None if c.unfreeze_every == AUTO else c.unfreeze_every,
            c.lm_loss,
        )
        factors = rate_factors(self.model, c.discriminative_lr)
        learned = [(n, weight) for n, weight in self.model.named_parameters() if n in factors]
        self.optimizer = registry.resolve(registry.OPTIMIZERS, o.optimizer)(
            learned, o.lr, config.regularisation.weight_decay, factors.__getitem__
        )
        averaged = [weight for _, weight in learned]
        self.averages = Averages(averaged, rule_for(o.optimizer, o.ema))
        self.saved = SavedTraining(
            self.run,
            self.model,
            self.optimizer,
            self.averages,
            self.task,
            self._fresh_model,
            Ranks(),
            Share.deal(o.batch_size),
        )

    def _ids(self, part: str) -> TextIds:
        most = self.config.classifier.max_length
        return TextIds(self.texts.ids[part], self.tokenizer, most, directions_of(self.config))

    def _class_weights(self) -> list[float]:
        """1, or the inverse of each class's share, of mean 1 over the texts."""
        classes = len(self.texts.classes)
        if self.config.classifier.class_weights == "none":
            return [1.0] * classes
        counts = np.bincount(self.texts.labels["train"], minlength=classes)
        return [float(counts.sum() / (classes * max(1, count))) for count in counts]

    def _fresh_model(self) -> Classifier:
        m, draws = self.config.model, Draws(self.config.optimisation.seed, 0)
        forget_bias = None if m.forget_bias == AUTO else m.forget_bias
        return self.architecture.build().initialise(m.init, draws, forget_bias)

    def _begin(self, sources: list[Model]) -> None:
        """Take the sources' weights and measure the usual text; kept as `begin`, as a source may
        be gone later."""
        weights = checkpointing.weights_of(self.model)
        for number, source in enumerate(sources):
            found = mapped(source.stored.weights, source.tokenizer, self.tokenizer)
            theirs = {f"encoders.{number}.{name}": found.weights[name] for name in found.weights}
            weights |= {name: theirs[name] for name in theirs if name in weights}
            self.listener.say(
                f"{found.shared:,} of {found.tokens:,} tokens have their rows from "
                f"{source.stored.path}"
            )
        if sources:
            checkpointing.put_weights(self.model, weights, str(sources[0].stored.path))
        self._standardise()
        self.saved.save(TrainingState(), best=False, also=("begin",))

    def _standardise(self) -> None:
        draws = Draws(self.config.optimisation.seed, 0).numpy("usual texts")
        most = max(_USUAL_TEXTS, int(_USUAL_TOKENS / self.ids["train"].lengths.mean()))
        texts = self.ids["train"].some(most, draws)
        with self._in_fp32():
            found = vectors_of(self.model.readers, self.config.classifier.pooling, texts)
        self.model.standardise(torch.from_numpy(found))

    def _loop(self, begin: tuple[TrainingState, Evaluations]) -> Loop:
        o, b = self.config.optimisation, self.config.budget
        state, evaluations = begin
        seconds = None if b.minutes is None else max(1.0, b.minutes * 60 - self.spent)
        return Loop(
            task=self.task,
            parameters=list(self.model.parameters()),
            optimizer=self.optimizer,
            averages=self.averages,
            schedule=registry.resolve(registry.SCHEDULES, o.schedule),
            lr=o.lr,
            warmup_steps=o.warmup_steps,
            clip_norm=o.clip_norm,
            budget=Budget(
                b.epochs,
                b.steps,
                seconds,
                self.task.windows_per_epoch,
                self.started,
                state.seconds,
            ),
            eval_every=None if b.eval_every == AUTO else b.eval_every,
            eval_times=20,
            report_every=b.report_every,
            save_every=b.save_every,
            patience=b.patience,
            save=self.saved.save,
            evaluate=self._validate if "valid" in self.texts.labels else None,
            sample=None,
            log=MetricsLog(self.run.metrics_path, self.listener.say).append,
            go_back=self.saved.go_back,
            listener=self.listener,
            interruption=self.interruption,
            settle=self._standardise,
            state=state,
            evaluations=evaluations,
        )

    def _logits(self, part: str) -> np.ndarray:
        with self._in_fp32():
            return logits_of(self.model, self.ids[part], self.interruption.check)

    @contextmanager
    def _in_fp32(self) -> Iterator[None]:
        """So that figures compare between machines."""
        self.model.run_with(self.config.optimisation.kernel, torch.float32)
        try:
            yield
        finally:
            self.model.run_with(self.config.optimisation.kernel, self.precision)

    def _validate(self) -> Measured:
        labels = self.texts.labels["valid"]
        found = figures(labels, probabilities_at(self._logits("valid")), self.texts.classes)
        more = {name: found[name] for name in ("accuracy", "macro_f1")}
        return Measured(found["nats"], None, more)
