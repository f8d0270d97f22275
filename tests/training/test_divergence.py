"""A loss, a gradient, a figure or a save that is not finite: one retry at half the rate, then 5."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

import charlm
from charlm.errors import DivergedError
from charlm.evaluation import validation
from charlm.runs import checkpoint
from charlm.runs.metrics import read_metrics
from charlm.training.step import StepLoss
from training.test_loop import Bowl, Run


class Bad(Bowl):
    """A loss times `factor` at a step, as often as it is come by."""

    def __init__(self, step, factor=math.nan, times=1):
        super().__init__()
        self.step, self.factor, self.times = step, factor, times

    def loss(self, step):
        found = super().loss(step)
        if step == self.step and self.times:
            self.times -= 1
            found = found._replace(loss=found.loss * self.factor)
        return found


def said(run):
    return [words for words in run.listener.heard if isinstance(words, str) and words != "end"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e15])
def test_one_retry_from_the_best_at_half_the_rate_said_aloud(bad):
    run = Run(figures=[3.0, 4.0, 2.0, 1.0, 0.5], task=Bad(8, bad), eval_every=3, report_every=1)
    run.loop.run()
    # The best, of step 3, is gone back to: 4 to 8 come again, and evaluation 6 with them.
    assert run.task.seen == [*range(9), *range(3, 10)]
    place = run.events.index(("go back", 3))
    assert ("train", 9) not in run.events[:place]
    (message,) = said(run)
    assert "step 9" in message and "step 3" in message and "half" in message
    rates = {}
    for record in run.records:
        if record["split"] == "train":
            rates.setdefault(record["step"], []).append(record["lr"])
    for step in range(4, 9):
        assert rates[step][1] == rates[step][0] / 2
    assert run.loop.state.lr_factor == 0.5
    assert run.saved[-1][0]["lr_factor"] == 0.5, "not in the checkpoint"
    assert [e.previous for e in run.listener.heard if hasattr(e, "previous")] == [
        None, 3.0, 3.0, 2.0, 1.0,
    ]  # fmt: skip
    begun = [h for h in run.listener.heard if h == "end" or isinstance(h, tuple)]
    assert begun == [("begin", 0, 10, None), "end", ("begin", 3, 10, None), "end"]


def test_without_a_best_one_from_the_beginning():
    run = Run(figures=[3.0, 2.0, 1.0], task=Bad(2))
    run.loop.run()
    assert run.task.seen == [0, 1, 2, *range(10)]
    assert ("go back", 0) in run.events


def test_the_second_time_is_the_end_and_nothing_of_it_is_saved():
    run = Run(figures=[3.0, 3.0], task=Bad(5, times=2), save_every=0)
    with pytest.raises(DivergedError) as caught:
        run.loop.run()
    assert caught.value.exit_code == 5
    assert "step 6" in caught.value.what and "--lr" in caught.value.hint
    assert run.task.seen == [*range(6), 4, 5]
    state = run.loop.state
    assert (state.step, state.tokens, state.lr_factor) == (5, 25, 0.5)
    assert max(saved["step"] for saved, _, _ in run.saved) == 5
    assert all(math.isfinite(saved["sum_nats"]) for saved, _, _ in run.saved)
    assert torch.equal(run.task.weight, run.saved[-1][2]), "the weight moved"
    assert all(math.isfinite(record["nats_per_token"]) for record in run.records)
    assert run.listener.heard[-1] == "end"


def test_a_run_that_has_had_its_retry_gets_no_other_after_resuming():
    first = Run(figures=[3.0, 3.0, 3.0], task=Bad(5), steps=8)
    first.loop.run()
    from charlm.training.state import TrainingState

    state = TrainingState.from_dict(first.saved[-1][0], "here")
    second = Run(figures=[3.0], task=Bad(9), steps=12, state=state)
    with pytest.raises(DivergedError):
        second.loop.run()
    assert second.task.seen == [8, 9]


def test_a_gradient_that_is_not_finite_is_not_taken_either():
    class Cliff(Bowl):
        def loss(self, step):
            if step < 3:
                return super().loss(step)
            return StepLoss((self.weight - self.weight.detach()).sqrt().sum(), 5, 1.0)

    run = Run(task=Cliff(), eval_every=100)
    with pytest.raises(DivergedError):
        run.loop.run()
    assert run.loop.state.step == 3 and run.loop.state.lr_factor == 0.5
    assert torch.isfinite(run.task.weight).all()


def test_a_figure_that_is_not_finite_is_never_the_best():
    run = Run(figures=[3.0, DivergedError("the valid text costs nan nats"), 2.0, 1.0])
    run.loop.run()
    assert ("go back", 4) in run.events
    assert run.loop.evaluations.nats == [3.0, 2.0, 1.0]
    assert run.loop.evaluations.steps == [4, 8, 10]


def test_weights_that_cannot_be_saved_are_gone_back_from():
    class Full(Run):
        refused = False

        def save(self, state, best):
            if state.step == 6 and not self.refused:
                self.refused = True
                raise DivergedError("weights hold infinity at step 6: not saved")
            super().save(state, best)

    run = Full(figures=[3.0, 2.0, 1.0], save_every=0)
    run.loop.run()
    assert ("go back", 4) in run.events and run.loop.state.step == 10


def test_a_rate_at_which_training_really_overflows_and_half_of_which_learns():
    """w - 1 is multiplied by 1 - 2 a lr: by -2.9 at lr 1.95, by -0.95 at half of it."""
    run = Run(
        figures=[1.0],
        steps=60,
        lr=1.95,
        schedule=lambda progress, validations: 1.0,
        eval_every=60,
        report_every=60,
    )
    run.loop.run()
    assert run.task.seen.count(0) == 2, "it did not diverge"
    assert len(run.task.seen) < 2 * 60
    assert float(run.task.weight.detach()) == pytest.approx(1 - 0.95**60, abs=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_whose_validation_figure_is_not_finite(
    bad: float, times: int, tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, calls = validation.measure, []

    def measured(*arguments):
        calls.append(1)
        found = measure(*arguments)
        return dataclasses.replace(found, nats=bad) if len(calls) in range(2, 2 + times) else found

    monkeypatch.setattr(validation, "measure", measured)
    how = {"steps": 8, "hidden_size": 8, "batch_size": 4, "bptt": 8, "eval_every": 2, "threads": 1}
    run = tmp_path / "run"
    if times == 1:
        assert charlm.train([tiny_text], run, **how)["steps"] == 8
    else:
        with pytest.raises(DivergedError, match=r"the valid text costs (nan|inf) nats"):
            charlm.train([tiny_text], run, **how)
        assert checkpoint.load(run, "best").step == checkpoint.load(run, "last").step == 2
    records = read_metrics(run / "metrics.jsonl")
    figures = [record["nats_per_token"] for record in records if record["split"] == "valid"]
    assert len(figures) == (4 if times == 1 else 1) and all(map(math.isfinite, figures))
