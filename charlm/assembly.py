"""The parts of one training run, built from its configuration, and put to work."""

import math
import shlex
from typing import Any

import torch

from charlm import registry
from charlm.config import Config
from charlm.draws import Draws
from charlm.errors import Interrupted, MachineError
from charlm.evaluation.validation import RunMeasurement
from charlm.generation.decoder import decoder_of
from charlm.generation.generate import generate
from charlm.generation.settings import GenerationSettings
from charlm.loaded import Model
from charlm.model.adaptive_softmax import AdaptiveSoftmax
from charlm.model.cluster_ranks import unusual
from charlm.model.kernels import libraries
from charlm.model.language_model import LanguageModel
from charlm.planning import architecture_of, rates_of
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory
from charlm.runs.metrics import MetricsLog
from charlm.saved_training import SavedTraining
from charlm.settings import AUTO
from charlm.storage.atomic import write_atomically
from charlm.text.sources import shown
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import Tokenizer
from charlm.training import checkpointing, memory
from charlm.training.averaging import Averages, rule_for
from charlm.training.batches import StreamBatches
from charlm.training.budget import Budget
from charlm.training.decoder_rates import decoder_factors
from charlm.training.interrupt import Interruption
from charlm.training.language_modelling import LanguageModelling
from charlm.training.listener import Listener, Listeners
from charlm.training.loop import Loop
from charlm.training.planned_steps import evaluation_times
from charlm.training.ranks import Gone, Ranks, require_device
from charlm.training.row_adagrad import RowAdagrad, SideBySide
from charlm.training.state import Evaluations, TrainingState
from charlm.training.tensorboard import TensorBoard
from charlm.training.vocabulary_sample import VocabularySample, inclusion
from charlm.transfer import mapped

SAMPLE_CHARACTERS = 160  # of text written after each evaluation


class Assembly:
    """Model, task, optimiser and measurement of a run whose lock is held.

    `started`: the moment the command started, on the clock of time.monotonic.
    """

    def __init__(
        self,
        run: RunDirectory,
        config: Config,
        cache: TokenCache,
        tokenizer: Tokenizer,
        listener: Listener,
        interruption: Interruption,
        started: float,
        ranks: Ranks,
    ) -> None:
        self.run, self.config, self.cache, self.tokenizer = run, config, cache, tokenizer
        self.listener, self.interruption, self.started = listener, interruption, started
        self.ranks = ranks

    def train(
        self, checkpoint: checkpoints.Checkpoint | None, source: Model | None = None
    ) -> dict[str, Any]:
        """Train from a checkpoint, or from the beginning, to the end of the budget; the summary.

        `source`: a model whose weights the beginning has.

        Raises Interrupted after saving, DivergedError, RunError where the checkpoint does not fit.
        """
        self.build(checkpoint)
        self.ranks.start(str(self.run.path.absolute()))
        if checkpoint is None and source is not None:
            self._start_from(source)
        self.saved.put_all_back(checkpoint or self.saved.beginning())
        loop = self._loop(self.saved.restored(checkpoint))
        try:
            loop.run()
            self.ranks.end()
            return self._finish(loop)
        except Interrupted as interrupted:
            interrupted.hint = f"Saved. Go on with: {self._resuming()}"
            raise
        except Gone as gone:
            gone.hint = f"Go on from the last checkpoint with: {self._resuming()}"
            raise

    def _resuming(self) -> str:
        return f"{self.ranks.command} train --resume --out {shlex.quote(str(self.run.path))}"

    def build(self, checkpoint: checkpoints.Checkpoint | None) -> None:
        o, r = self.config.optimisation, self.config.regularisation
        memory.keep()
        torch.set_num_threads(o.threads)
        if checkpoint is not None:
            checkpointing.check_weights(
                architecture_of(self.config, self.tokenizer),
                checkpoint.groups["weights"],
                str(checkpoint.path),
            )
        require_device(o.device)
        libraries.settle()
        self.model = self._fresh_model()
        self.model.to(torch.device(o.device))
        self.model.kernel = o.kernel
        self.model.precision = torch.bfloat16 if o.precision == "bf16" else torch.float32
        text = self.cache.parts["train"]
        batches = StreamBatches(
            text.ids,
            text.documents,
            self.tokenizer.boundary_id,
            self.tokenizer.grammar,
            o.batch_size,
            o.bptt,
            r.reset_probability,
            o.seed,
            o.variable_bptt,
            self.ranks.share(o.batch_size),
        )
        self.task = LanguageModelling(
            self.model,
            batches,
            rates_of(self.config),
            o.seed,
            r.activation_penalty,
            r.temporal_activation_penalty,
            self._vocabulary_sample(),
        )
        dense = self.model.dense()
        self.optimizer = registry.resolve(registry.OPTIMIZERS, o.optimizer)(
            dense, o.lr, r.weight_decay, decoder_factors(self.config.decoder_lr_factor)
        )
        if self.model.tables:
            rows = RowAdagrad(self.model.tables, o.ngram_lr / o.lr)
            self.optimizer = SideBySide([self.optimizer, rows])
        self.averages = Averages([weight for _, weight in dense], rule_for(o.optimizer, o.ema))
        self.saved = SavedTraining(
            self.run,
            self.model,
            self.optimizer,
            self.averages,
            self.task,
            self._fresh_model,
            self.ranks,
            batches.share,
        )
        self.measurement = RunMeasurement(
            self.model, self.tokenizer, self.cache, self.interruption.check, self.listener.say
        )

    def _vocabulary_sample(self) -> VocabularySample | None:
        """The tokens that a step learns about, where not all are."""
        o, tokens = self.config.optimisation, self.tokenizer.vocabulary_size
        if o.softmax_sample in (AUTO, None) or o.softmax_sample >= tokens:
            return None
        self.listener.say(
            f"A step learns from about {o.softmax_sample:,} of {tokens:,} tokens. Its loss is of "
            "those, and less than of all, with which the valid text is measured."
        )
        counts = self.cache.parts["train"].frequencies(tokens)
        r = inclusion(counts, unusual(self.tokenizer.grammar.legal), o.softmax_sample)
        return VocabularySample(r, o.seed, self.model.device)

    def _fresh_model(self) -> LanguageModel:
        """With the weights that training begins with."""
        m, draws = self.config.model, Draws(self.config.optimisation.seed, 0)
        forget_bias = None if m.forget_bias == AUTO else m.forget_bias
        model = LanguageModel(architecture_of(self.config, self.tokenizer))
        if isinstance(model.decoder, AdaptiveSoftmax):
            counts = self.cache.parts["train"].frequencies(self.tokenizer.vocabulary_size)
            model.decoder.rank(counts, self.tokenizer.grammar.legal)
        return model.initialise(m.init, draws, forget_bias)

    def _start_from(self, source: Model) -> None:
        """Take the source's weights, and keep them as `begin`: the source may be gone when the run
        goes on, or has to go back."""
        found = mapped(source.stored.weights, source.tokenizer, self.tokenizer)
        checkpointing.put_weights(self.model, found.weights, str(source.stored.path))
        self.listener.say(
            f"{found.shared:,} of {found.tokens:,} tokens have their rows from "
            f"{source.stored.path}; the others start at the mean"
        )
        self.saved.save(TrainingState(), best=False, also=("begin",))

    def put_back(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Everything as it was then."""
        self.saved.put_back(checkpoint)

    def _loop(self, begin: tuple[TrainingState, Evaluations]) -> Loop:
        o, b = self.config.optimisation, self.config.budget
        state, evaluations = begin
        listener = self.listener
        if b.tensorboard:
            listener = Listeners(listener, TensorBoard(self.run.tensorboard, listener.say))
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
                None if b.minutes is None else b.minutes * 60,
                self.task.windows_per_epoch,
                self.started,
                state.seconds,
            ),
            eval_every=None if b.eval_every == AUTO else b.eval_every,
            eval_times=evaluation_times(self.config),
            report_every=b.report_every,
            save_every=b.save_every,
            patience=b.patience,
            save=self.saved.save,
            evaluate=self.measurement.valid if "valid" in self.cache.parts else None,
            sample=self._sample,
            log=MetricsLog(self.run.metrics_path, self.listener.say).append,
            go_back=self.saved.go_back,
            listener=listener,
            interruption=self.interruption,
            through_time=self.task.through_time if self.model.layers.cell.recurrent else None,
            ranks=self.ranks,
            state=state,
            evaluations=evaluations,
        )

    def _sample(self, step: int) -> str:
        decoder = decoder_of(self.config, checkpointing.weights_of(self.model))
        settings = GenerationSettings(
            length=SAMPLE_CHARACTERS, length_unit="characters", seed=self.config.optimisation.seed
        )
        direction = self.config.model.direction
        pieces = generate(decoder, self.tokenizer, "", settings, direction=direction)
        text = "".join(piece.text for piece in pieces)
        try:
            if not self.run.samples.is_symlink():
                write_atomically(self.run.samples / f"{step}.txt", text.encode())
        except MachineError as error:
            self.listener.say(f"The sample was not kept: {error.what}")
        return text

    def _finish(self, loop: Loop) -> dict[str, Any]:
        """Measure the best model on every part, and write the summary."""
        best = checkpoints.load(self.run, "best-else-last", groups=("weights",))
        checkpointing.put_weights(self.model, best.groups["weights"], str(best.path))
        figures = self.measurement.final(unchanged=best.step == loop.evaluations.last_step)
        state = loop.state
        even = math.log(self.tokenizer.vocabulary_size)
        if "valid" in figures and figures["valid"].nats_per_token > even:
            self.listener.say(
                f"Warning: {figures['valid'].nats_per_token:.4g} nats per token is worse than "
                f"guessing evenly ({even:.4g}): nothing was learned. Lower --lr, or give it longer."
            )
        summary = {
            "run": shown(self.run.path),
            "tokens_per_second": state.tokens / max(state.step_seconds, 1e-9),
            "seconds": state.seconds,
            "epochs": state.epoch,
            "steps": state.step,
            "best_step": best.step,
            "parameters": self.model.architecture.parameters(),
            "valid": figures["valid"].as_dict() if "valid" in figures else None,
            "test": figures["test"].as_dict() if "test" in figures else None,
        }
        self.run.write_summary(summary)
        return summary
