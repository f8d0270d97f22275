"""One training run, put together from its parts: text, sizes, model, loop, run directory."""

import time
from collections.abc import Callable
from typing import Any

import torch

from charlm import registry
from charlm.config import Config
from charlm.draws import Draws
from charlm.errors import Interrupted, RunError, UsageError
from charlm.evaluation.figures import Figures
from charlm.evaluation.measure import measure
from charlm.generation.decoder import Decoder
from charlm.generation.generate import generate
from charlm.generation.settings import GenerationSettings
from charlm.model.language_model import Architecture, LanguageModel
from charlm.planning import (
    Request,
    architecture_of,
    ends,
    rates_of,
    read_text,
    resolve,
    resumed,
    stored_config,
)
from charlm.precedence import differing, to_toml
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory
from charlm.runs.metrics import MetricsLog, read_metrics, truncate_after
from charlm.settings import AUTO
from charlm.text.token_cache import TokenCache, corpus_fingerprint
from charlm.text.tokenizers.base import Tokenizer, load_tokenizer
from charlm.training import checkpointing
from charlm.training.batches import StreamBatches
from charlm.training.budget import Budget
from charlm.training.interrupt import Interruption, noted
from charlm.training.language_modelling import LanguageModelling
from charlm.training.listener import Listener
from charlm.training.loop import Loop, Measured
from charlm.training.state import Evaluations, TrainingState

SAMPLE_CHARACTERS = 160  # of text written after each evaluation


def train(request: Request, listener: Listener) -> dict[str, Any]:
    """Train a run to the end of its budget and return its summary (INTERFACE: train --json)."""
    with noted() as interruption:
        if request.resume and (request.out / "config.toml").exists():
            run = RunDirectory.open(request.out)
            with run.lock():
                return _Run(run, request, listener, interruption).resume()
        run = RunDirectory.create(request.out, force=request.force)
        with run.lock():
            return _Run(run, request, listener, interruption).start()


class _Run:
    """The work on one run directory, whose lock is held."""

    def __init__(
        self, run: RunDirectory, request: Request, listener: Listener, interruption: Interruption
    ) -> None:
        self.run, self.request = run, request
        self.listener, self.interruption = listener, interruption

    def start(self) -> dict[str, Any]:
        cache, tokenizer = read_text(
            self.request, self.run.cache, self.listener, self.interruption.check
        )
        found = resolve(self.request.config, cache, tokenizer)
        for choice in found.choices:
            self.listener.chosen(choice.key, choice.value, choice.reason)
        self.run.write_tokenizer(tokenizer.to_files())
        self.run.write_config(to_toml(found.config))
        return self._train(found.config, cache, tokenizer, None)

    def resume(self) -> dict[str, Any]:
        stored = stored_config(self.run)
        self._refuse_changes(stored)
        summary = self.run.read_summary()
        config = resumed(stored, self.request)
        if summary is not None and ends(config) == ends(stored):
            self.listener.say(f"{self.run.path} is finished; give a larger budget to go on.")
            return summary
        try:
            cache = TokenCache.open(self.run.cache)
            tokenizer = load_tokenizer(self.run.read_tokenizer())
        except RunError:
            if not self.request.sources:
                raise
            cache, tokenizer = read_text(
                self.request, self.run.cache, self.listener, self.interruption.check
            )
            self.run.write_tokenizer(tokenizer.to_files())
        try:
            checkpoint = checkpoints.load(self.run, "last")
        except RunError:
            if checkpoints.linked_step(self.run, "last") is not None:
                raise
            checkpoint = None
            self.listener.say("There is no checkpoint yet: training starts from the beginning.")
        if config != stored:
            self.run.write_config(to_toml(config))
        return self._train(config, cache, tokenizer, checkpoint)

    def _refuse_changes(self, stored: Config) -> None:
        changed = differing(stored, self.request.config, self.request.given)
        problems = [
            f"{entry.option} is {self.request.config.get(entry.key)}, and the run has "
            f"{stored.get(entry.key)}"
            for entry in changed
        ]
        if self.request.sources and (self.run.cache / "manifest.json").exists():
            corpus = stored.corpus
            now = corpus_fingerprint(
                self.request.sources,
                valid=[corpus.valid] if corpus.valid else None,
                test=[corpus.test] if corpus.test else None,
                encoding=corpus.encoding,
                errors=corpus.errors,
                stdin=self.request.stdin,
            )
            if now != TokenCache.open(self.run.cache).manifest.corpus_sha256:
                problems.append("the text is not the one the run was started with")
        if problems:
            raise UsageError(
                f"{self.run.path} cannot be resumed with changes: " + "; ".join(problems),
                "Leave them out, or start another run with another --out.",
            )

    def _train(
        self,
        config: Config,
        cache: TokenCache,
        tokenizer: Tokenizer,
        checkpoint: checkpoints.Checkpoint | None,
    ) -> dict[str, Any]:
        o, r, b = config.optimisation, config.regularisation, config.budget
        torch.set_num_threads(o.threads)
        device = torch.device(o.device)
        architecture = architecture_of(config, tokenizer)
        if checkpoint is not None:
            checkpointing.check_weights(
                architecture, checkpoint.groups["weights"], str(checkpoint.path)
            )
        model = LanguageModel(architecture).initialise(config.model.init, Draws(o.seed, 0))
        model.to(device)
        model.kernel = o.kernel
        model.precision = torch.bfloat16 if o.precision == "bf16" else torch.float32
        text = cache.parts["train"]
        batches = StreamBatches(
            text.ids,
            text.documents,
            tokenizer.boundary_id,
            tokenizer.grammar,
            o.batch_size,
            o.bptt,
            r.reset_probability,
            o.seed,
        )
        task = LanguageModelling(model, batches, rates_of(config), o.seed)
        optimizer = registry.resolve(registry.OPTIMIZERS, o.optimizer)(
            model.named_parameters(), o.lr, r.weight_decay
        )
        state, evaluations = TrainingState(), Evaluations()
        if checkpoint is not None:
            checkpointing.restore(checkpoint, model, optimizer, task)
            state = TrainingState.from_dict(checkpoint.state, str(checkpoint.path))
        truncate_after(self.run.metrics_path, state.step)
        records = read_metrics(self.run.metrics_path)
        evaluations = Evaluations.of(records)
        if any(r["step"] == state.step and r.get("split") == "train" for r in records):
            state.close_report()
        evaluate = _Evaluator(model, tokenizer, cache, self.interruption.check)
        loop = Loop(
            task=task,
            parameters=list(model.parameters()),
            optimizer=optimizer,
            schedule=registry.resolve(registry.SCHEDULES, o.schedule),
            lr=o.lr,
            warmup_steps=o.warmup_steps,
            clip_norm=o.clip_norm,
            budget=Budget(
                b.epochs,
                b.steps,
                None if b.minutes is None else b.minutes * 60,
                batches.windows_per_epoch,
                time.monotonic() if checkpoint is not None else self.request.started,
                state.seconds,
            ),
            eval_every=None if b.eval_every == AUTO else b.eval_every,
            report_every=b.report_every,
            save_every=b.save_every,
            patience=b.patience,
            save=lambda state, best: self._save(state, best, model, optimizer, task),
            evaluate=evaluate.valid if "valid" in cache.parts else None,
            sample=lambda step: self._sample(model, tokenizer, step, o.seed),
            log=MetricsLog(self.run.metrics_path, self.listener.say).append,
            listener=self.listener,
            interruption=self.interruption,
            state=state,
            evaluations=evaluations,
        )
        try:
            loop.run()
        except Interrupted as interrupted:
            interrupted.hint = f"Saved. Go on with: charlm train --resume --out {self.run.path}"
            raise
        return self._finish(config, model, cache, loop, evaluate, architecture)

    def _save(
        self,
        state: TrainingState,
        best: bool,
        model: LanguageModel,
        optimizer: torch.optim.Optimizer,
        task: LanguageModelling,
    ) -> None:
        checkpoints.save(
            self.run,
            state.step,
            checkpointing.groups(model, optimizer, task),
            state.as_dict(),
            ("last", "best") if best else ("last",),
        )

    def _sample(self, model: LanguageModel, tokenizer: Tokenizer, step: int, seed: int) -> str:
        decoder = Decoder(model.layers.cell, checkpointing.weights_of(model))
        settings = GenerationSettings(length=SAMPLE_CHARACTERS, length_unit="characters", seed=seed)
        text = "".join(piece.text for piece in generate(decoder, tokenizer, "", settings))
        (self.run.samples / f"{step}.txt").write_text(text, encoding="utf-8")
        return text

    def _finish(
        self,
        config: Config,
        model: LanguageModel,
        cache: TokenCache,
        loop: Loop,
        evaluate: "_Evaluator",
        architecture: Architecture,
    ) -> dict[str, Any]:
        best = checkpoints.load(self.run, "best-else-last", groups=("weights",))
        checkpointing.put_weights(model, best.groups["weights"], str(best.path))
        figures = {
            part: evaluate.measure(part) for part in ("valid", "test") if part in cache.parts
        }
        state = loop.state
        summary = {
            "run": str(self.run.path),
            "tokens_per_second": state.tokens / max(state.seconds, 1e-9),
            "seconds": state.seconds,
            "epochs": state.epoch,
            "steps": state.step,
            "best_step": best.step,
            "parameters": architecture.parameters(),
            "valid": figures["valid"].as_dict() if "valid" in figures else None,
            "test": figures["test"].as_dict() if "test" in figures else None,
        }
        self.run.write_summary(summary)
        return summary


class _Evaluator:
    """Measures the model that is being trained, in fp32."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        cache: TokenCache,
        check: Callable[[], None],
    ) -> None:
        self.model, self.tokenizer, self.cache, self.check = model, tokenizer, cache, check

    def measure(self, part: str) -> Figures:
        text = self.cache.parts[part]
        precision, self.model.precision = self.model.precision, torch.float32
        try:
            return measure(
                self.model, self.tokenizer, text.ids, text.documents, text.counts, self.check
            )
        finally:
            self.model.precision = precision

    def valid(self) -> Measured:
        found = self.measure("valid")
        return Measured(found.nats_per_token, found.bits_per_character)
