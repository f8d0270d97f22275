"""The one training loop: step, report, evaluate, save, until the budget is used up.

It knows no text and no network: a `Task` gives the loss of step n, and callbacks measure
and save. Everything due after a step is done in one order (report, evaluate, save), so that
a run killed anywhere and resumed repeats exactly what it had not saved.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from charlm.errors import DivergedError, Interrupted, MachineError
from charlm.training import memory
from charlm.training.averaging import Averages
from charlm.training.budget import Budget
from charlm.training.interrupt import Interruption
from charlm.training.listener import Evaluation, Listener, Report
from charlm.training.ranks import Gone, Ranks
from charlm.training.schedules import Schedule, warm_up
from charlm.training.state import Evaluations, TrainingState
from charlm.training.step import Task, gradient, update
from charlm.training.through_time import ThroughTime, in_words


class Measured(NamedTuple):
    """What an evaluation finds: nats per unit of the task, and what else is of interest."""

    nats: float
    bits_per_character: float | None = None
    more: Mapping[str, float] = {}


@dataclass
class Loop:
    """Everything a run of training needs.

    save(state, best) writes a checkpoint, as `best` too if asked; evaluate() measures on the
    validation text, None without one; sample(step) writes a little text; log(record) appends
    to metrics.jsonl; go_back() restores the last good state, on disk too, and returns it;
    through_time(step) looks at the gradient and the gates, None where nothing recurs; settle()
    measures what the network needs to know of its own weights before it is measured or saved,
    None where it needs nothing.
    """

    task: Task
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    averages: Averages
    schedule: Schedule
    lr: float
    warmup_steps: int
    clip_norm: float | None
    budget: Budget
    eval_every: int | None  # steps; None: `eval_times` in the budget, by its clock
    eval_times: int
    report_every: int
    save_every: float
    patience: int | None
    save: Callable[[TrainingState, bool], None]
    evaluate: Callable[[], Measured] | None
    sample: Callable[[int], str] | None
    log: Callable[[dict[str, object]], object]
    go_back: Callable[[], tuple[TrainingState, Evaluations]]
    listener: Listener
    interruption: Interruption
    through_time: Callable[[int], ThroughTime] | None = None
    settle: Callable[[], None] | None = None
    ranks: Ranks = field(default_factory=Ranks)
    state: TrainingState = field(default_factory=TrainingState)
    evaluations: Evaluations = field(default_factory=Evaluations)

    def __post_init__(self) -> None:
        self._warned: set[str] = set()

    def run(self) -> None:
        """Train until the budget or the patience is used up, save, and evaluate.

        Where it diverges, once more from the last good state, at half the learning rate.
        Raises Interrupted after saving; DivergedError the second time, having saved nothing of it.
        """
        try:
            return self._attempt()
        except DivergedError as error:
            if self.state.lr_factor < 1:
                raise
            diverged = error.what
        self.state, self.evaluations = self.go_back()
        self.state.lr_factor = 0.5
        self.listener.say(
            f"{diverged} Training goes on from step {self.state.step}, once, at half the "
            "learning rate."
        )
        self._attempt()

    def _attempt(self) -> None:
        state, budget = self.state, self.budget
        self.listener.begin(state.step, budget.last_step(), budget.seconds)
        self._saved_at = self._evaluated_at = time.monotonic()
        self._evaluation_took = 0.0
        self._best_saved = min(self.evaluations.nats, default=math.inf)
        try:
            if state.step and self._evaluation_due():
                self._evaluate()  # the one during which the run was interrupted
            if state.step and self.evaluations.best_step == state.step:
                self._save(best=True)  # the run may have died between that evaluation and this
            while not self._out_of_patience():
                progress = budget.progress(state.step)
                if progress >= 1:
                    break
                self._step(progress)
                if state.step % self.report_every == 0:
                    self._report(progress)
                if self._evaluation_due() and self._evaluate():
                    self._save_if_possible(best=True)
                if self.interruption.signal_number is not None:
                    self._save()
                    self.interruption.check()
                if time.monotonic() - self._saved_at >= self.save_every:
                    self._save_if_possible()
            if state.sum_steps:
                self._report(1.0)
            self._save()
            trained = state.seconds
            if self.evaluations.last_step != state.step and self._evaluate():
                self._save(best=True)
            state.seconds = trained  # the last evaluation does not count
        finally:
            self.listener.end()

    def _step(self, progress: float) -> None:
        state = self.state
        begin = time.monotonic()
        lr = self.lr * self.schedule(progress, self.evaluations.nats)
        lr *= warm_up(state.step, self.warmup_steps) * state.lr_factor
        self.ranks.step(state.step, lr)
        found = gradient(
            self.task, self.parameters, self.optimizer, self.clip_norm, state.step, self.ranks
        )
        if found.diverged:
            raise DivergedError(
                f"training diverged at step {state.step + 1}: the loss is {found.nats:g} and the "
                f"norm of the gradient {found.norm:g}. The step was not taken, and nothing of it "
                "saved.",
                f"Lower --lr (it was {lr:g}) or --clip-norm, and start again.",
            )
        update(self.optimizer, lr * found.share)
        state.step += 1
        self.averages.after_step(state.step, self.evaluations)
        state.tokens += found.tokens
        state.epoch = found.epoch
        state.sum_nats += found.nats * found.share
        state.sum_gradient_norm += found.norm * found.share
        if self.clip_norm is not None and found.norm > self.clip_norm:
            state.sum_clipped += found.share
        state.sum_steps += found.share
        state.step_seconds += time.monotonic() - begin
        state.lr = lr
        self.listener.step(state.step, progress, found.nats, found.norm)

    def _report(self, progress: float) -> None:
        state = self.state
        gradient_norm = state.sum_gradient_norm / state.sum_steps
        seen = self.through_time(state.step) if self.through_time is not None else None
        if seen is not None:
            self._warn(in_words(seen, gradient_norm))
        report = Report(
            step=state.step,
            tokens=state.tokens,
            seconds=self.budget.elapsed(),
            nats=state.sum_nats / state.sum_steps,
            lr=state.lr,
            gradient_norm=gradient_norm,
            tokens_per_second=(state.tokens - state.reported_tokens)
            / max(state.step_seconds - state.reported_step_seconds, 1e-9),
            epoch=state.epoch,
            progress=progress,
            clipped_share=None if self.clip_norm is None else state.sum_clipped / state.sum_steps,
            saturated_share=None if seen is None else seen.saturated,
            gradient_carried=None if seen is None else seen.carried,
            unit=self.task.unit,
        )
        state.seconds = report.seconds
        state.close_report()
        self.log(report.record())
        self.listener.report(report)

    def _warn(self, warnings: dict[str, str]) -> None:
        """Say each kind of warning once."""
        for kind, words in warnings.items():
            if kind not in self._warned:
                self._warned.add(kind)
                self.listener.say(f"Warning: {words}")

    def _out_of_patience(self) -> bool:
        return self.patience is not None and self.evaluations.since_best >= self.patience

    def _evaluation_due(self) -> bool:
        step = self.state.step
        if self.evaluate is None or self.evaluations.last_step == step:
            return False
        every, last = self.eval_every, self.budget.last_step()
        if every is None and self.budget.seconds is None and last is not None:
            every = max(1, last // self.eval_times)
        if every is not None:
            return step % every == 0
        # By the clock: so often in the budget, and never more than a twentieth of it.
        wait = max((self.budget.seconds or 0.0) / self.eval_times, 20 * self._evaluation_took)
        return time.monotonic() - self._evaluated_at >= wait

    def _settle(self) -> None:
        """What the checkpoint of a step has of it is never measured anew: it would be another
        checkpoint, where a processor or a number of threads rounds in another way."""
        if self.settle is not None and self.state.settled != self.state.step:
            with memory.aside(), self.averages.in_place():
                self.settle()
            self.state.settled = self.state.step

    def _evaluate(self) -> bool:
        """Measure, log and show; True if it is better than all that is saved, and is to be too."""
        if self.evaluate is None:
            return False
        step = self.state.step
        self.listener.evaluating(step)
        begin = time.monotonic()
        self._settle()
        try:
            with memory.aside(), self.averages.in_place():
                found = self.evaluate()
        except Interrupted:
            self._save()
            raise
        self._evaluated_at = time.monotonic()
        self._evaluation_took = self._evaluated_at - begin
        previous = self.evaluations.nats[-1] if self.evaluations.nats else None
        self.evaluations.add(step, found.nats, found.bits_per_character)
        evaluation = Evaluation(
            step,
            self.state.tokens,
            self.budget.elapsed(),
            found.nats,
            found.bits_per_character,
            previous,
            self.evaluations.best_step,
            self.task.unit,
            found.more,
        )
        self.log(evaluation.record())
        self.listener.evaluated(evaluation)
        if self.sample is not None:
            with memory.aside(), self.averages.in_place():
                self.listener.sample(step, self.sample(step))
        # Not than all there were: a better one may have met a full disk.
        return found.nats < self._best_saved

    def _save_if_possible(self, best: bool = False) -> None:
        """Save now, or go on training where the disk does not allow it and try again later."""
        try:
            self._save(best)
        except Gone:
            raise
        except MachineError as error:
            self._saved_at = time.monotonic()
            self.listener.say(f"Not saved: {error.what}. Training goes on.")

    def _save(self, best: bool = False) -> None:
        self._settle()
        self.state.seconds = self.budget.elapsed()
        begin = time.monotonic()
        self.save(self.state, best)
        if best:
            self._best_saved = self.evaluations.nats[-1]
        self._saved_at = time.monotonic()
        self.budget.reserve = self._saved_at - begin
