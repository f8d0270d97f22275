"""A training whose state is on disk: saved, put back, and taken back to the last good state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from charlm.draws import Share
from charlm.model.classifier import Classifier
from charlm.model.language_model import LanguageModel
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory
from charlm.runs.metrics import read_metrics, truncate_after
from charlm.training import checkpointing, memory
from charlm.training.averaging import Averages
from charlm.training.ranks import Ranks
from charlm.training.state import Evaluations, TrainingState
from charlm.training.step import Task


@dataclass
class SavedTraining:
    """What of a training is in the checkpoints of its run.

    fresh(): the network with the weights that training begins with, where it begins with no
    other run's. share: the streams that this process reads of all whose state is carried.
    """

    run: RunDirectory
    model: LanguageModel | Classifier
    optimizer: torch.optim.Optimizer
    averages: Averages
    task: Task
    fresh: Callable[[], LanguageModel | Classifier]
    ranks: Ranks
    share: Share

    def save(self, state: TrainingState, best: bool, also: Sequence[str] = ()) -> None:
        """A checkpoint, linked as `last`, as `best` if it is, and by what `also` names."""
        with memory.aside():
            groups = checkpointing.groups(self.model, self.optimizer, self.averages, self.task)
            carried = self.ranks.collected(self.task.carried(), self.share.total)
            checkpoints.save(
                self.run,
                state.step,
                groups | {"carried": checkpointing.arrays_of(carried)},
                state.as_dict(),
                ("last", "best", *also) if best else ("last", *also),
            )

    def put_back(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Everything as it was then."""
        parts = self.model, self.optimizer, self.averages, self.task
        checkpointing.restore(checkpoint, *parts, self.share)

    def put_all_back(self, checkpoint: checkpoints.Checkpoint) -> None:
        """The same in all processes."""
        self.put_back(checkpoint)
        self.ranks.load(checkpoint.groups, checkpoint.step)

    def beginning(self) -> checkpoints.Checkpoint:
        """Before the first step, with the weights that are there now."""
        carried = {
            name: np.zeros((self.share.total, *part.shape[1:]), np.float32)
            for name, part in self.task.carried().items()
        }
        weights = checkpointing.weights_of(self.model)
        groups = {"weights": weights, "optimizer": {}, "carried": carried}
        return checkpoints.Checkpoint(0, groups, {}, self.run.path)

    def restored(
        self, checkpoint: checkpoints.Checkpoint | None
    ) -> tuple[TrainingState, Evaluations]:
        """Where the checkpoint left off."""
        state = TrainingState()
        if checkpoint is not None:
            state = TrainingState.from_dict(checkpoint.state, str(checkpoint.path))
        truncate_after(self.run.metrics_path, state.step)
        records = read_metrics(self.run.metrics_path)
        if any(r["step"] == state.step and r.get("split") == "train" for r in records):
            state.close_report()
        return state, Evaluations.of(records)

    def go_back(self) -> tuple[TrainingState, Evaluations]:
        """The last good state: the best checkpoint or, without one, the beginning.

        Both are the same wherever the run was killed and resumed. `last`, if there is one, becomes
        that checkpoint, so a process killed from here on comes to the same divergence again.
        """
        for name in ("best", "begin"):
            if checkpoints.linked_step(self.run, name) is not None:
                checkpoints.go_back(self.run, name)
                checkpoint = checkpoints.load(self.run, "last")
                self.put_all_back(checkpoint)
                return self.restored(checkpoint)
        self.model.load_state_dict(self.fresh().state_dict())
        self.put_all_back(self.beginning())
        if checkpoints.linked_step(self.run, "last") is not None:
            self.save(TrainingState(), best=False)
        return self.restored(None)
