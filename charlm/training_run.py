"""One training run from the command to its end: begun, gone on with, or put in another's place."""

import os
from dataclasses import replace
from typing import Any

from charlm.assembly import Assembly
from charlm.config import Config
from charlm.errors import MachineError, RunError, UsageError, is_out_of_memory
from charlm.loaded import Model
from charlm.planning import (
    Plan,
    Request,
    architecture_of,
    check_validation,
    ends,
    memory_estimate,
    read_text,
    resolve,
    resumed,
    stored_config,
)
from charlm.precedence import differing, to_toml
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory, may_be_replaced, successor
from charlm.settings import AUTO
from charlm.storage.reading import physical_memory
from charlm.text.corpus import corpus_fingerprint
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import Tokenizer, load_tokenizer
from charlm.training import tensorboard
from charlm.training.batch_sizing import fit_to_text
from charlm.training.interrupt import Interruption, at_once, noted
from charlm.training.listener import Listener
from charlm.training.ranks import Ranks, joined
from charlm.transfer import adopted, source_of


def train(request: Request, listener: Listener) -> dict[str, Any]:
    """Train a run to the end of its budget and return its summary (INTERFACE: train --json)."""
    if request.config.budget.tensorboard:
        tensorboard.require()  # before any text is read
    with noted() as interruption, joined() as ranks:
        if request.resume and (request.out / "config.toml").exists():
            run = RunDirectory.open(request.out)
            with run.lock():
                return _Run(run, request, listener, interruption, ranks).resume()
        if request.resume and not request.sources:
            raise RunError(
                f"there is no run in {request.out} to go on with, or it ended before its text "
                "was read",
                "Name the TEXT (or --corpus NAME) to start it, or correct --out.",
            )
        if request.resume:
            listener.say(f"There is no run in {request.out} yet: it begins.")
        source = source_of(request.config)
        config = adopted(request.config, request.given, source)
        request = replace(request, config=config)
        if request.force and may_be_replaced(request.out):
            _refuse_own_source(request)
            return _replace(request, source, listener, interruption, ranks)
        run = RunDirectory.create(request.out)
        try:
            with run.lock():
                return _Run(run, request, listener, interruption, ranks).start(source)
        finally:
            run.discard_unless_begun()


def train_prepared(
    run: RunDirectory,
    request: Request,
    tokenizer: Tokenizer,
    listener: Listener,
    interruption: Interruption,
) -> dict[str, Any]:
    """Train on the text that the cache of `run` holds already, or go on with that; the summary."""
    with run.lock():
        work = _Run(run, request, listener, interruption, Ranks())
        if (run.path / "config.toml").exists():
            return work.resume()
        read = TokenCache.open(run.cache), tokenizer
        return work.start(source_of(request.config), read)


def _refuse_own_source(request: Request) -> None:
    """UsageError where the run to be replaced is the one whose weights are to begin with."""
    source = request.config.model.init_from
    if source is not None and os.path.realpath(source) == os.path.realpath(request.out):
        raise UsageError(
            f"--force would overwrite {request.out}, which --init-from starts from",
            "Give another --out.",
        )


def _replace(
    request: Request,
    source: Model | None,
    listener: Listener,
    interruption: Interruption,
    ranks: Ranks,
) -> dict[str, Any]:
    """Train in place of another run, which goes only when the new text has been read."""
    with successor(request.out) as folder:
        cache = RunDirectory(folder).cache
        with at_once(interruption):
            cached, tokenizer = read_text(request, cache, listener, interruption.check)
        plan = resolve(request.config, cached, tokenizer)
        del cached
        run = RunDirectory.create(request.out, force=True, prepared=folder)
        with run.lock():
            read = TokenCache.open(run.cache), tokenizer
            return _Run(run, request, listener, interruption, ranks).start(source, read, plan)


class _Run:
    """The work on one run directory, whose lock is held."""

    def __init__(
        self,
        run: RunDirectory,
        request: Request,
        listener: Listener,
        interruption: Interruption,
        ranks: Ranks,
    ) -> None:
        self.run, self.request = run, request
        self.listener, self.interruption, self.ranks = listener, interruption, ranks

    def start(
        self,
        source: Model | None,
        read: tuple[TokenCache, Tokenizer] | None = None,
        plan: Plan | None = None,
    ) -> dict[str, Any]:
        """Train from the beginning, or from the weights of `source`; `read`: the text, if it has
        been read already, and `plan`, if it has been made."""
        about = self.request, self.run.cache, self.listener, self.interruption.check
        with at_once(self.interruption):
            cache, tokenizer = read or read_text(*about)
        found = plan or resolve(self.request.config, cache, tokenizer)
        documents, sizes = cache.manifest.sources, cache.parts
        self.listener.say(
            f"text: {len(documents):,} document{'s' * (len(documents) != 1)}; tokens: "
            + ", ".join(f"{len(part.ids):,} {name}" for name, part in sizes.items())
            + f"; vocabulary {tokenizer.vocabulary_size:,}"
        )
        for warning in found.warnings():
            self.listener.say(warning)
        for choice in found.choices:
            self.listener.chosen(choice.key, choice.value, choice.reason)
        self.run.write_tokenizer(tokenizer.to_files())
        self.run.write_config(to_toml(found.config))
        return self._train(found.config, cache, tokenizer, None, source)

    def resume(self) -> dict[str, Any]:
        stored = stored_config(self.run)
        self._refuse_changes(stored)
        summary = self.run.read_summary()
        config = resumed(stored, self.request.config, self.request.given, self.request.out)
        if summary is not None and ends(config) == ends(stored):
            self.listener.say(f"{self.run.path} is finished; give a larger budget to go on.")
            return {**summary, "run": str(self.run.path)}
        # Both were on disk before the configuration: without them nothing can go on exactly.
        cache = TokenCache.open(self.run.cache)
        tokenizer_files = self.run.read_tokenizer()
        cache.verify(stored.model.direction, tokenizer_files)
        if config != stored:
            check_validation(config, cache)
        tokenizer = load_tokenizer(tokenizer_files)
        source = None
        try:
            checkpoint = checkpoints.load(self.run, "last")
        except RunError:
            if checkpoints.linked_step(self.run, "last") is not None:
                raise
            checkpoint, source = None, source_of(stored)
            self.listener.say("There is no checkpoint yet: training starts from the beginning.")
        self.run.remove_summary()
        if config != stored:
            self.run.write_config(to_toml(config))
        return self._train(config, cache, tokenizer, checkpoint, source)

    def _refuse_changes(self, stored: Config) -> None:
        given = self.request.config
        if (self.run.cache / "manifest.json").exists():
            # What was too large for the text was reduced then, and is now.
            for key in ("optimisation.batch_size", "optimisation.bptt"):
                if given.get(key) == AUTO:
                    given = given.with_values({key: stored.get(key)})
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
                valid=None if corpus.valid is None else [corpus.valid],
                test=None if corpus.test is None else [corpus.test],
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
        source: Model | None,
    ) -> dict[str, Any]:
        """MachineError, with the estimate, where memory is refused."""
        assembly = Assembly(
            self.run,
            config,
            cache,
            tokenizer,
            self.listener,
            self.interruption,
            self.request.started,
            self.ranks,
        )
        try:
            return assembly.train(checkpoint, source)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            needed = memory_estimate(config, architecture_of(config, tokenizer)) / 2**20
            raise MachineError(
                f"there is not enough memory: training {self.run.path} takes about {needed:,.0f} "
                f"MiB beside torch's own, and this machine has {physical_memory() / 2**20:,.0f}",
                "A smaller --hidden-size, --embedding-size, --layers, --batch-size or --bptt "
                "lowers it; checkpoints that were saved are as they were.",
            ) from error
