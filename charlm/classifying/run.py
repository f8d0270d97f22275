"""A classifier's run from the command to its end: begun, gone on with, or put in another's place.

    1. texts and labels into the cache; the tokenizer takes in new words; which words go together is
       counted (`preparing`)
    2. the language model is fine-tuned on these texts: a run of its own inside the run
    3. the classifier learns, from the weights of that
    4. figures, calibration, baseline

Until 1 is done the run has no config.toml, and begins anew. Each of the others goes on where it
was, or is done again from what is on disk.
"""

import shlex
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm import launched
from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.assembly import ClassifierAssembly
from charlm.classifying.labelled_cache import LabelledTexts, open_texts
from charlm.classifying.learning_curve import label_counts
from charlm.classifying.network import directions_of
from charlm.classifying.planning import (
    ClassifierPlan,
    asked_config,
    language_model_config,
    refuse_curve,
    stored_config,
    write_config,
)
from charlm.classifying.preparing import Preparation
from charlm.classifying.reading import checked, divided, refuse_to_overwrite
from charlm.classifying.request import ClassifierRequest
from charlm.classifying.resuming import refuse_changes
from charlm.classifying.unlabelled import kept_semantics
from charlm.errors import Interrupted, RunError, UsageError
from charlm.loaded import Model
from charlm.planning import Request, ends, resumed
from charlm.precedence import to_toml
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import LANGUAGE_MODELS, RunDirectory, may_be_replaced, successor
from charlm.runs.export import read_model
from charlm.text.labelled_splits import Division
from charlm.text.tokenizers.base import Tokenizer, load_tokenizer
from charlm.training.interrupt import Interruption, at_once, noted
from charlm.training.listener import Listener
from charlm.training_run import train_prepared


def finetune(request: ClassifierRequest, listener: Listener) -> dict[str, Any]:
    """Train a classifier and return its summary (INTERFACE: finetune-classify --json)."""
    if launched.size() > 1:
        raise UsageError(
            f"a classifier learns in one process, and torchrun started {launched.size()}",
            "Start it without torchrun.",
        )
    with noted() as interruption:
        try:
            if request.resume and (request.out / "config.toml").exists():
                run = RunDirectory.open(request.out)
                with run.lock():
                    return _ClassifierRun(run, request, listener, interruption).resume()
            return _begin(request, listener, interruption)
        except Interrupted as interrupted:
            out = shlex.quote(str(request.out))
            if (request.out / "config.toml").exists():
                interrupted.hint = (
                    f"Saved. Go on with: charlm finetune-classify --resume --out {out}"
                )
                if request.curve is not None:
                    interrupted.hint += "\nand the options of its learning curve, as they were."
            raise


def _begin(
    request: ClassifierRequest, listener: Listener, interruption: Interruption
) -> dict[str, Any]:
    if request.data is None:
        raise (RunError if request.resume else UsageError)(
            f"there is no run in {request.out} to go on with, or it ended before its texts were "
            "read"
            if request.resume
            else "DATA is missing",
            "Name the table of texts and labels.",
        )
    if request.resume:
        listener.say(f"There is no run in {request.out} yet: it begins.")
    asked = request.config
    request, sources = checked(request)
    refuse_to_overwrite(request.out, sources)
    if request.curve is not None:
        refuse_curve(request.config)
    with at_once(interruption):
        division = divided(request, listener)
    if request.curve is not None:  # before anything is trained
        label_counts(request.curve.counts, request.curve.fractions, division)
    if request.force and may_be_replaced(request.out):
        return _replace(asked, request, division, sources, listener, interruption)
    run = RunDirectory.create(request.out)
    try:
        with run.lock():
            preparation = Preparation(run, request, listener, interruption)
            prepared = preparation.prepare(division, sources)
            preparation.count_words(division, sources)
            return _ClassifierRun(run, request, listener, interruption).start(asked, *prepared)
    finally:
        run.discard_unless_begun()


def _replace(
    asked: ClassifierConfig,
    request: ClassifierRequest,
    division: Division,
    sources: list[Model],
    listener: Listener,
    interruption: Interruption,
) -> dict[str, Any]:
    """Train in place of another run, which goes only when the texts are in the caches."""
    with successor(request.out) as folder:
        work = Preparation(RunDirectory.create(folder), request, listener, interruption)
        plan, _, tokenizer = work.prepare(division, sources)
        work.count_words(division, sources)
        run = RunDirectory.create(request.out, force=True, prepared=folder)
        with run.lock():
            started = _ClassifierRun(run, request, listener, interruption)
            return started.start(asked, plan, open_texts(run.cache), tokenizer)


def plan(request: ClassifierRequest, listener: Listener) -> ClassifierPlan:
    """What `finetune` would do, with its reasons; trains nothing, leaves nothing behind."""
    request, sources = checked(request)
    division = divided(request, listener)
    with tempfile.TemporaryDirectory(prefix="charlm-") as folder:
        run = RunDirectory.create(Path(folder) / "run")
        return Preparation(run, request, listener, Interruption()).prepare(division, sources)[0]


@dataclass
class _ClassifierRun:
    """The work on one run directory, whose lock is held."""

    run: RunDirectory
    request: ClassifierRequest
    listener: Listener
    interruption: Interruption

    def start(
        self,
        asked: ClassifierConfig,
        plan: ClassifierPlan,
        texts: LabelledTexts,
        tokenizer: Tokenizer,
    ) -> dict[str, Any]:
        """Train from the beginning what has been prepared; `asked`: with every `auto` that a
        learning curve resolves anew."""
        sizes = ", ".join(f"{len(labels):,} {part}" for part, labels in texts.labels.items())
        self.listener.say(
            f"texts: {sizes}; {len(texts.classes)} classes; "
            f"vocabulary {tokenizer.vocabulary_size:,}"
        )
        for choice in plan.choices:
            self.listener.chosen(choice.key, choice.value, choice.reason)
        self.run.write_tokenizer(tokenizer.to_files())
        self.run.write_asked(to_toml(asked))
        write_config(self.run, plan.config, texts.classes)
        return self._go_on(plan.config, texts, tokenizer, None)

    def resume(self) -> dict[str, Any]:
        """Go on exactly where the run stands."""
        stored = stored_config(self.run)
        refuse_changes(self.run, stored, self.request)
        limits = self.request.config, self.request.given, self.request.out
        config = resumed(stored, *limits)
        if self.request.curve is not None:
            refuse_curve(config)
        summary = self.run.read_summary()
        if summary is not None and ends(config) == ends(stored):
            self.listener.say(f"{self.run.path} is finished; give a larger budget to go on.")
            return {**summary, "run": str(self.run.path)}
        kept_semantics(self.run)  # needed at the end: whether it is whole is told now
        texts = open_texts(self.run.cache)
        tokenizer = load_tokenizer(self.run.read_tokenizer())
        checkpoint = None
        if checkpoints.linked_step(self.run, "last") is not None:
            checkpoint = checkpoints.load(self.run, "last")
        if ends(config) != ends(stored):
            # A learning curve is of classifiers that have the budget of the run.
            self.run.remove_summary(self.run.learning_curve)
            self.run.write_asked(to_toml(resumed(asked_config(self.run), *limits)))
        else:
            self.run.remove_summary()
        if config != stored:
            write_config(self.run, config, texts.classes)
        return self._go_on(config, texts, tokenizer, checkpoint)

    def _go_on(
        self,
        config: ClassifierConfig,
        texts: LabelledTexts,
        tokenizer: Tokenizer,
        checkpoint: checkpoints.Checkpoint | None,
    ) -> dict[str, Any]:
        summaries: list[dict[str, Any]] = []
        sources: list[str | Path] = []
        paths = (config.model.init_from, config.classifier.backward)
        if config.classifier.lm_epochs:
            for name, path, direction in zip(
                LANGUAGE_MODELS, paths, directions_of(config), strict=False
            ):
                started = time.monotonic() if summaries else self.request.started
                summaries.append(
                    self._language_model(name, config, path, direction, tokenizer, started)
                )
                sources.append(self.run.path / name)
        elif checkpoint is None:
            sources = [path for path in paths if path is not None]
        found = []
        if checkpoint is None:
            found = [Model(read_model(source)) for source in sources]
        spent = sum(summary["seconds"] for summary in summaries)
        assembly = ClassifierAssembly(
            self.run,
            config,
            texts,
            tokenizer,
            self.listener,
            self.interruption,
            time.monotonic() if summaries else self.request.started,
            spent,
            summaries,
        )
        return assembly.train(checkpoint, found)

    def _language_model(
        self,
        name: str,
        config: ClassifierConfig,
        path: str | None,
        direction: str,
        tokenizer: Tokenizer,
        started: float,
    ) -> dict[str, Any]:
        """Fine-tune a language model on the texts, or find it done; its summary.

        started: when its minutes began.
        """
        nested = RunDirectory.open(self.run.path / name)
        summary = nested.read_summary()
        if summary is not None:
            return {**summary, "run": name}
        self.listener.say("The language model is fine-tuned on these texts.")
        request = Request(
            out=nested.path,
            config=language_model_config(config, path, direction),
            started=started,
        )
        summary = train_prepared(nested, request, tokenizer, self.listener, self.interruption)
        return {**summary, "run": name}
