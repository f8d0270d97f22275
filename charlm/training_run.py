"""One training run, put together from its parts: text, sizes, model, loop, run directory."""

import shlex
from typing import Any

import torch

from charlm import registry
from charlm.config import Config
from charlm.draws import Draws
from charlm.errors import Interrupted, MachineError, RunError, UsageError
from charlm.evaluation.validation import RunMeasurement
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
from charlm.runs.directory import RunDirectory, may_be_replaced
from charlm.runs.metrics import MetricsLog, read_metrics, truncate_after
from charlm.settings import AUTO
from charlm.storage.atomic import partial_path, remove, write_atomically
from charlm.text.token_cache import TokenCache, corpus_fingerprint
from charlm.text.tokenizers.base import Tokenizer, load_tokenizer
from charlm.training import checkpointing
from charlm.training.batches import StreamBatches
from charlm.training.budget import Budget
from charlm.training.interrupt import Interruption, noted
from charlm.training.language_modelling import LanguageModelling
from charlm.training.listener import Listener
from charlm.training.loop import Loop
from charlm.training.sizing import fit_to_text
from charlm.training.state import Evaluations, TrainingState

SAMPLE_CHARACTERS = 160  # of text written after each evaluation


def train(request: Request, listener: Listener) -> dict[str, Any]:
    """Train a run to the end of its budget and return its summary (INTERFACE: train --json)."""
    with noted() as interruption:
        if request.resume and (request.out / "config.toml").exists():
            run = RunDirectory.open(request.out)
            with run.lock():
                return _Run(run, request, listener, interruption).resume()
        if request.resume and not request.sources:
            raise RunError(
                f"there is no run in {request.out} to go on with, or it ended before its text "
                "was read",
                "Name the TEXT to start it, or correct --out.",
            )
        if request.force and may_be_replaced(request.out):
            return _replace(request, listener, interruption)
        run = RunDirectory.create(request.out)
        try:
            with run.lock():
                return _Run(run, request, listener, interruption).start()
        finally:
            run.discard_unless_begun()


def _replace(request: Request, listener: Listener, interruption: Interruption) -> dict[str, Any]:
    """Train in place of another run, which goes only when the new text has been read."""
    run = RunDirectory(request.out)
    with run.lock():
        pass  # nobody else is at work on it
    folder = partial_path(run.cache)
    try:
        cache, tokenizer = read_text(request, folder, listener, interruption.check)
        resolve(request.config, cache, tokenizer)
        del cache
        run = RunDirectory.create(request.out, force=True, cache=folder)
        with run.lock():
            read = TokenCache.open(run.cache), tokenizer
            return _Run(run, request, listener, interruption).start(read)
    finally:
        remove(folder)


class _Run:
    """The work on one run directory, whose lock is held."""

    def __init__(
        self, run: RunDirectory, request: Request, listener: Listener, interruption: Interruption
    ) -> None:
        self.run, self.request = run, request
        self.listener, self.interruption = listener, interruption

    def start(self, read: tuple[TokenCache, Tokenizer] | None = None) -> dict[str, Any]:
        """Train from the beginning; `read`: the text, if it has been read already."""
        cache, tokenizer = read or read_text(
            self.request, self.run.cache, self.listener, self.interruption.check
        )
        found = resolve(self.request.config, cache, tokenizer)
        documents, sizes = cache.manifest.sources, cache.parts
        self.listener.say(
            f"text: {len(documents):,} document{'s' * (len(documents) != 1)}; tokens: "
            + ", ".join(f"{len(part.ids):,} {name}" for name, part in sizes.items())
            + f"; vocabulary {tokenizer.vocabulary_size:,}"
        )
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
            return {**summary, "run": str(self.run.path)}
        # Both were on disk before the configuration: without them nothing can go on exactly.
        cache = TokenCache.open(self.run.cache)
        cache.verify()
        tokenizer = load_tokenizer(self.run.read_tokenizer())
        try:
            checkpoint = checkpoints.load(self.run, "last")
        except RunError:
            if checkpoints.linked_step(self.run, "last") is not None:
                raise
            checkpoint = None
            self.listener.say("There is no checkpoint yet: training starts from the beginning.")
        self.run.remove_summary()
        if config != stored:
            self.run.write_config(to_toml(config))
        return self._train(config, cache, tokenizer, checkpoint)

    def _refuse_changes(self, stored: Config) -> None:
        given = self.request.config
        if (self.run.cache / "manifest.json").exists():
            # What was too large for the text was reduced then, and is now.
            given = fit_to_text(given, len(TokenCache.open(self.run.cache).parts["train"].ids))
        changed = differing(stored, given, self.request.given)
        problems = [
            f"{entry.option} is {given.get(entry.key)}, and the run has {stored.get(entry.key)}"
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
        state = TrainingState()
        if checkpoint is not None:
            checkpointing.restore(checkpoint, model, optimizer, task)
            state = TrainingState.from_dict(checkpoint.state, str(checkpoint.path))
        truncate_after(self.run.metrics_path, state.step)
        records = read_metrics(self.run.metrics_path)
        evaluations = Evaluations.of(records)
        if any(r["step"] == state.step and r.get("split") == "train" for r in records):
            state.close_report()
        check, say = self.interruption.check, self.listener.say
        evaluate = RunMeasurement(model, tokenizer, cache, check, say)
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
                self.request.started,
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
            return self._finish(model, loop, evaluate, architecture)
        except Interrupted as interrupted:
            out = shlex.quote(str(self.run.path))
            interrupted.hint = f"Saved. Go on with: charlm train --resume --out {out}"
            raise

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
        try:
            if not self.run.samples.is_symlink():
                write_atomically(self.run.samples / f"{step}.txt", text.encode())
        except MachineError as error:
            self.listener.say(f"The sample was not kept: {error.what}")
        return text

    def _finish(
        self,
        model: LanguageModel,
        loop: Loop,
        evaluate: RunMeasurement,
        architecture: Architecture,
    ) -> dict[str, Any]:
        best = checkpoints.load(self.run, "best-else-last", groups=("weights",))
        checkpointing.put_weights(model, best.groups["weights"], str(best.path))
        figures = evaluate.final(unchanged=best.step == loop.evaluations.last_step)
        state = loop.state
        summary = {
            "run": str(self.run.path),
            "tokens_per_second": state.tokens / max(state.step_seconds, 1e-9),
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
