"""What every process but the first does while several train together (`ranks`)."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from charlm.runs.tensors import Tensors
from charlm.training import ranks as words
from charlm.training.ranks import TorchRanks
from charlm.training.step import Task, gradient, update

Load = Callable[[dict[str, Tensors], int], None]


def follow(
    ranks: TorchRanks,
    task: Task,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    load: Load,
) -> None:
    """Do what rank 0 says until it says END. load(groups, step) puts back what it sends.

    MachineError where it, or another process, is gone.
    """
    while True:
        command = ranks.next_command()
        if command.word == words.LOAD:
            load(ranks.loaded(command.size), command.step)
        elif command.word == words.STEP:
            found = gradient(task, parameters, optimizer, clip_norm, command.step, ranks)
            if not found.diverged:
                update(optimizer, command.lr * found.share)
        elif command.word == words.COLLECT:
            ranks.give(task.carried())
        else:
            assert command.word == words.END, command
            return
