"""A process that trains beside the first one, which `torchrun` started with it."""

import signal
import sys
import time
from pathlib import Path

from charlm.assembly import Assembly
from charlm.planning import stored_config
from charlm.runs.checkpoint import Checkpoint
from charlm.runs.directory import RunDirectory
from charlm.runs.tensors import Tensors
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import load_tokenizer
from charlm.training.following import follow
from charlm.training.interrupt import Interruption, handled
from charlm.training.listener import Listener
from charlm.training.ranks import END, Gone, TorchRanks


def train_beside() -> None:
    """Do what the first process says, to its end; whatever goes wrong, that one tells.

    Only where it is gone without a word, Gone. Otherwise ends the process with 1.
    """
    with handled(signal.SIG_DFL):  # there is nothing to save here
        ranks = TorchRanks()
    try:
        with ranks:
            _follow(ranks)
    except Gone as gone:
        if ranks.spoken_for():
            sys.exit(1)
        gone.hint = "Start it again with --resume: it goes on from its last checkpoint."
        raise
    except BaseException:
        sys.exit(1)


def _follow(ranks: TorchRanks) -> None:
    with handled(signal.SIG_DFL):
        command = ranks.next_command()
    if command.word == END:
        return
    with handled(signal.SIG_IGN):  # the first process ends it, when it has collected what is here
        run = RunDirectory.open(Path(ranks.received(command.size).decode()))
        cache, tokenizer = TokenCache.open(run.cache), load_tokenizer(run.read_tokenizer())
        config, started = stored_config(run), time.monotonic()
        parts = run, config, cache, tokenizer, Listener(), Interruption(), started, ranks
        assembly = Assembly(*parts)
        assembly.build(None)

        def load(groups: dict[str, Tensors], step: int) -> None:
            assembly.put_back(Checkpoint(step, groups, {}, run.path))

        parameters = list(assembly.model.parameters())
        clip_norm = config.optimisation.clip_norm
        follow(ranks, assembly.task, parameters, assembly.optimizer, clip_norm, load)
