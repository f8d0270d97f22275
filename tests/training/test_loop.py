"""The order of step, report, evaluate and save, and how a run ends."""

import signal
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from charlm.errors import Interrupted, RunError
from charlm.training import budget as budget_module
from charlm.training import loop as loop_module
from charlm.training.averaging import Averages, NoAverage
from charlm.training.budget import Budget
from charlm.training.interrupt import Interruption
from charlm.training.listener import Listener
from charlm.training.loop import Loop, Measured
from charlm.training.schedules import plateau
from charlm.training.state import Evaluations, TrainingState
from charlm.training.step import StepLoss
from charlm.training.through_time import ThroughTime


class Bowl:
    """loss = a (w - 1)^2 with a from a list: a task of one weight."""

    unit = "token"
    windows_per_epoch = 4

    def __init__(self, factors=()):
        self.weight = nn.Parameter(torch.zeros(1))
        self.factors = dict(enumerate(factors))
        self.seen = []

    def loss(self, step):
        assert self.weight.grad is None, "two gradients would be held at once"
        self.seen.append(step)
        loss = self.factors.get(step, 1.0) * ((self.weight - 1) ** 2).sum()
        return StepLoss(loss, 5, (step + 1) / 4)

    def carried(self):
        return {}

    def restore(self, carried):
        pass


class Recorder(Listener):
    def __init__(self):
        self.heard = []

    def begin(self, step, last_step, seconds):
        self.heard.append(("begin", step, last_step, seconds))

    def end(self):
        self.heard.append("end")

    def say(self, message):
        self.heard.append(message)

    def evaluated(self, evaluation):
        self.heard.append(evaluation)


class Run:
    """A loop over a Bowl, with everything that happens in `events`."""

    def __init__(self, figures=(), **changes):
        self.task = changes.pop("task", None) or Bowl()
        self.events, self.records, self.saved = [], [], []
        self.figures = iter(figures)
        self.listener, self.interruption = Recorder(), Interruption()
        steps = changes.pop("steps", 10)
        self.optimizer = torch.optim.SGD([self.task.weight], lr=1.0)
        parts = {
            "task": self.task,
            "parameters": [self.task.weight],
            "optimizer": self.optimizer,
            "averages": Averages([self.task.weight], NoAverage()),
            "schedule": lambda progress, validations: 1 - progress / 2,
            "lr": 0.1,
            "warmup_steps": 0,
            "clip_norm": None,
            "budget": Budget(None, steps, None, 4, 0.0),
            "eval_every": 4,
            "eval_times": 8,
            "report_every": 2,
            "save_every": 1e9,
            "patience": None,
            "save": self.save,
            "evaluate": self.evaluate,
            "sample": self.sample,
            "log": self.log,
            "go_back": self.go_back,
            "listener": self.listener,
            "interruption": self.interruption,
        }
        self.loop = Loop(**{**parts, **changes})

    def save(self, state, best):
        self.events.append(("save best" if best else "save", state.step))
        self.saved.append((state.as_dict(), best, self.task.weight.detach().clone()))

    def evaluate(self):
        self.events.append(("evaluate", self.loop.state.step))
        nats = next(self.figures)
        if isinstance(nats, Exception):
            raise nats
        return Measured(nats, 2 * nats)

    def go_back(self):
        """To the best weight, or to zero."""
        bests = [entry for entry in self.saved if entry[1]]
        values, _, weight = bests[-1] if bests else ({}, True, torch.zeros(1))
        with torch.no_grad():
            self.task.weight.copy_(weight)
        state = TrainingState.from_dict(values, "here")
        self.events.append(("go back", state.step))
        return state, evaluations_of(self.records, state.step)

    def sample(self, step):
        return "text"

    def log(self, record):
        self.events.append((record["split"], record["step"]))
        self.records.append(record)


def evaluations_of(records, step):
    return Evaluations.of(record for record in records if record["step"] <= step)


def test_after_a_step_report_then_evaluate_then_save_the_best():
    run = Run(figures=[3.0, 4.0, 2.0])
    run.loop.run()
    assert run.task.seen == list(range(10))
    assert run.events == [
        ("train", 2),
        ("train", 4),
        ("evaluate", 4),
        ("valid", 4),
        ("save best", 4),
        ("train", 6),
        ("train", 8),
        ("evaluate", 8),
        ("valid", 8),  # worse: not saved as best
        ("train", 10),
        ("save", 10),  # before the last evaluation, which may take long
        ("evaluate", 10),
        ("valid", 10),
        ("save best", 10),
    ]
    assert run.listener.heard[0] == ("begin", 0, 10, None)
    assert run.listener.heard[-1] == "end"
    evaluations = run.listener.heard[1:-1]
    assert [(e.step, e.previous, e.best_step, e.is_best) for e in evaluations] == [
        (4, None, 4, True),
        (8, 3.0, 4, False),
        (10, 4.0, 10, True),
    ]


def test_an_odd_last_step_is_reported_too():
    run = Run(figures=[3.0, 2.0], steps=5)
    run.loop.run()
    assert [e for e in run.events if e[0] == "train"] == [("train", 2), ("train", 4), ("train", 5)]


def test_the_records_are_those_of_the_interface_and_their_figures_means():
    run = Run(figures=[3.0, 2.0], steps=6)
    weight, losses, norms = 0.0, [], []
    for step in range(6):
        gradient = 2 * (weight - 1)
        losses.append((weight - 1) ** 2)
        norms.append(abs(gradient))
        weight -= 0.1 * (1 - step / 6 / 2) * gradient
    run.loop.run()
    assert float(run.task.weight.detach()) == pytest.approx(weight, rel=1e-6)
    train = [record for record in run.records if record["split"] == "train"]
    keys = "step tokens seconds split nats_per_token lr gradient_norm tokens_per_second"
    assert all(set(record) == set(keys.split()) for record in train)
    for number, record in enumerate(train):
        first = 2 * number
        assert (record["step"], record["tokens"]) == (first + 2, 5 * (first + 2))
        assert record["nats_per_token"] == pytest.approx(sum(losses[first : first + 2]) / 2)
        assert record["gradient_norm"] == pytest.approx(sum(norms[first : first + 2]) / 2)
        assert record["lr"] == pytest.approx(0.1 * (1 - (first + 1) / 6 / 2))
        assert record["seconds"] > 0
    valid = [record for record in run.records if record["split"] == "valid"]
    assert [record["nats_per_token"] for record in valid] == [3.0, 2.0]
    assert {"step", "tokens", "seconds", "split", "nats_per_token"} <= set(valid[0])


def test_warm_up_multiplies_the_schedule():
    run = Run(figures=[1.0] * 3, warmup_steps=4, report_every=1, steps=6)
    run.loop.run()
    rates = [record["lr"] for record in run.records if record["split"] == "train"]
    wanted = [0.1 * (1 - s / 12) * min(1, (s + 1) / 4) for s in range(6)]
    assert rates == pytest.approx(wanted)


def test_a_schedule_is_told_all_evaluations_so_far():
    told = []

    def schedule(progress, validations):
        told.append((round(10 * progress), list(validations)))
        return plateau(progress, validations)

    run = Run(figures=[3.0, 4.0, 2.0], schedule=schedule, report_every=1)
    run.loop.run()
    assert told[3:5] == [(3, []), (4, [3.0])]
    assert told[8:] == [(8, [3.0, 4.0]), (9, [3.0, 4.0])]
    rates = [record["lr"] for record in run.records if record["split"] == "train"]
    assert rates == [0.1] * 8 + [0.05] * 2


def test_patience_counts_evaluations_since_the_best():
    run = Run(figures=[5.0, 4.0, 4.0, 4.5, 1.0], steps=100, patience=2)
    run.loop.run()
    assert run.loop.state.step == 16
    assert [e for e in run.events if "save" in e[0]] == [
        ("save best", 4),
        ("save best", 8),
        ("save", 16),
    ]


def test_a_run_out_of_patience_takes_no_further_step():
    evaluations = Evaluations()
    for step, nats in ((4, 1.0), (8, 2.0), (12, 3.0)):
        evaluations.add(step, nats, nats)
    run = Run(patience=2, steps=100, state=TrainingState(step=12), evaluations=evaluations)
    run.loop.run()
    assert run.task.seen == [] and run.events == [("save", 12)]


def test_without_a_validation_text_nothing_is_evaluated():
    run = Run(evaluate=None)
    run.loop.run()
    assert {name for name, _ in run.events} == {"train", "save"}


def test_a_signal_ends_the_run_after_saving_the_step_it_came_in():
    run = Run(figures=[3.0])

    class Task(Bowl):
        def loss(self, step):
            if step == 5:
                run.interruption.note(signal.SIGTERM, None)
            return super().loss(step)

    run.loop.task = task = Task()
    run.loop.parameters = [task.weight]
    run.loop.optimizer = torch.optim.SGD([task.weight], lr=1.0)
    run.task = task
    with pytest.raises(Interrupted) as caught:
        run.loop.run()
    assert caught.value.exit_code == 143
    assert run.events[-1] == ("save", 6)


def test_a_signal_during_an_evaluation_saves_and_the_next_process_evaluates():
    run = Run(figures=[Interrupted(signal.SIGINT, "interrupted by SIGINT")])
    with pytest.raises(Interrupted) as caught:
        run.loop.run()
    assert caught.value.exit_code == 130
    assert run.events == [("train", 2), ("train", 4), ("evaluate", 4), ("save", 4)]
    saved = TrainingState.from_dict(run.saved[-1][0], "here")
    assert (saved.step, saved.sum_steps) == (4, 0)
    following = Run(figures=[3.0, 2.0], steps=5, eval_every=4, state=saved)
    following.loop.run()
    assert following.task.seen == [4]
    assert following.events[:3] == [("evaluate", 4), ("valid", 4), ("save best", 4)]


def test_a_run_that_died_between_its_best_evaluation_and_the_save_makes_up_for_it():
    """The last step was saved and measured, and the process killed before the link was set."""
    evaluations = Evaluations()
    evaluations.add(4, 3.0, 6.0)
    evaluations.add(10, 2.0, 4.0)
    run = Run(state=TrainingState(step=10, tokens=50), evaluations=evaluations)
    run.loop.run()
    assert run.task.seen == []
    assert ("save best", 10) in run.events
    assert not any(name == "evaluate" for name, _ in run.events)


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock takes a second."""
    ticks = iter(range(10**6))
    ticking = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr(loop_module, "time", ticking)
    monkeypatch.setattr(budget_module, "time", ticking)


def test_checkpoints_come_by_the_clock_but_never_change_the_course(clock):
    often = Run(figures=[3.0, 4.0, 2.0], save_every=0)
    often.loop.run()
    seldom = Run(figures=[3.0, 4.0, 2.0])
    seldom.loop.run()
    assert len(often.saved) > len(seldom.saved)
    assert torch.equal(often.task.weight, seldom.task.weight)

    def figures(run):
        return [
            {k: v for k, v in r.items() if k not in ("seconds", "tokens_per_second")}
            for r in run.records
        ]

    assert figures(often) == figures(seldom)


def test_states_come_back_from_what_is_stored():
    state = TrainingState(step=3, tokens=15, seconds=0.1 + 0.2, sum_nats=1 / 3, sum_steps=1)
    assert TrainingState.from_dict(state.as_dict(), "here") == state
    with pytest.raises(RunError, match=r"counters.*more"):
        TrainingState.from_dict({**state.as_dict(), "more": 1}, "here")


def test_a_state_of_an_older_version_lacks_counters_that_take_their_defaults():
    old = {"step": 3, "tokens": 15, "sum_nats": 2.0, "sum_steps": 1}
    assert TrainingState.from_dict(old, "here") == TrainingState(3, 15, sum_nats=2.0, sum_steps=1)


def test_evaluations_are_read_back_from_the_metrics():
    evaluations, records = Evaluations(), []
    assert (evaluations.best_step, evaluations.since_best, evaluations.last_step) == (0, 0, -1)
    for step, nats, bits in ((2, 3.0, 6.0), (4, 1.5, None), (6, 1.5, 3.0), (8, 2.0, 4.0)):
        evaluations.add(step, nats, bits)
        records.append({"split": "train", "step": step, "nats_per_token": 0.1})
        records.append(
            {"split": "valid", "step": step, "nats_per_token": nats, "bits_per_character": bits}
        )
    assert (evaluations.best_step, evaluations.since_best, evaluations.last_step) == (4, 2, 8)
    assert Evaluations.of(records) == evaluations


def test_a_short_window_counts_for_its_share_in_rate_and_report():
    """Merity et al. 2018, sec. 4.1: the rate of a window of half the length is half as high."""

    class Uneven(Bowl):
        def loss(self, step):
            return super().loss(step)._replace(share=(1.0, 0.5, 1.25)[step % 3])

    run = Run(task=Uneven(), report_every=3, steps=3, figures=[1.0])
    run.loop.run()
    weight, losses = 0.0, []
    for step, share in enumerate((1.0, 0.5, 1.25)):
        losses.append((weight - 1) ** 2)
        weight -= 0.1 * (1 - step / 6) * share * 2 * (weight - 1)
    assert float(run.task.weight.detach()) == pytest.approx(weight, rel=1e-6)
    record = run.records[0]
    wanted = (losses[0] + 0.5 * losses[1] + 1.25 * losses[2]) / 2.75
    assert record["nats_per_token"] == pytest.approx(wanted)
    assert record["lr"] == pytest.approx(0.1 * (1 - 2 / 6))  # the schedule's


def test_clipped_steps_are_counted_by_report():
    """The gradient of the bowl is 2 a (w - 1): steps 1, 4 and 5 are steep."""
    run = Run(
        task=Bowl([0.01, 1.0, 0.01, 0.01, 1.0, 1.0]), clip_norm=0.5, steps=6, figures=[1.0] * 2
    )
    run.loop.run()
    train = [record for record in run.records if record["split"] == "train"]
    assert [record["clipped_share"] for record in train] == [0.5, 0.0, 1.0]


def test_what_is_seen_through_time_is_reported_and_warned_of_once():
    asked = []

    def through_time(step):
        asked.append(step)
        return ThroughTime(step / 2**40, step / 10, 20)

    run = Run(figures=[1.0] * 2, steps=6, through_time=through_time)
    run.loop.run()
    assert asked == [2, 4, 6]
    train = [record for record in run.records if record["split"] == "train"]
    assert [record["saturated_share"] for record in train] == [0.2, 0.4, 0.6]
    assert [record["gradient_carried"] for record in train] == [2 / 2**40, 4 / 2**40, 6 / 2**40]
    warnings = [heard for heard in run.listener.heard if "vanishes" in str(heard)]
    assert len(warnings) == 1 and "20 steps back, 2e-12 of it is left" in warnings[0]


def test_a_run_killed_after_saving_its_last_step_reports_it():
    """Saved by the clock, and killed before the report: the rate is that of the last step."""
    run = Run(steps=5, report_every=3, figures=[1.0] * 2, save_every=0, clip_norm=0.1)
    run.loop.run()
    saved = next(entry[0] for entry in run.saved if entry[0]["step"] == 5)
    assert saved["sum_steps"] == 2
    following = Run(
        steps=5,
        report_every=3,
        figures=[1.0] * 2,
        clip_norm=0.1,
        state=TrainingState.from_dict(saved, "here"),
    )
    following.loop.run()
    kept = ("nats_per_token", "lr", "gradient_norm", "clipped_share", "tokens", "step")
    (again,) = [r for r in following.records if r["split"] == "train"]
    (first,) = [r for r in run.records if r["split"] == "train" and r["step"] == 5]
    assert {key: again[key] for key in kept} == {key: first[key] for key in kept}


def settling(figures, **changes):
    run = Run(figures=figures, settle=lambda: run.events.append(("settle", run.loop.state.step)),
              **changes)  # fmt: skip
    return run


def test_what_is_to_be_settled_is_settled_once_after_a_step_before_it_is_measured_or_saved():
    run = settling([3.0, 4.0, 2.0])
    run.loop.run()
    done = [event for event in run.events if event[0] not in ("train", "valid")]
    assert done == [
        ("settle", 4), ("evaluate", 4), ("save best", 4), ("settle", 8), ("evaluate", 8),
        ("settle", 10), ("save", 10), ("evaluate", 10), ("save best", 10),
    ]  # fmt: skip


def test_without_evaluations_it_is_settled_before_each_save():
    run = settling([], evaluate=None, save_every=0, steps=2)
    run.loop.run()
    saved = [event for event in run.events if event[0] != "train"]
    assert saved == [("settle", 1), ("save", 1), ("settle", 2), ("save", 2), ("save", 2)]


def test_what_was_settled_before_an_interrupted_evaluation_is_not_settled_again():
    first = settling([Interrupted(signal.SIGINT, "asked to stop")])
    with pytest.raises(Interrupted):
        first.loop.run()
    assert first.events[-3:] == [("settle", 4), ("evaluate", 4), ("save", 4)]
    values, _, weight = first.saved[-1]
    second = settling([3.0, 4.0, 2.0], state=TrainingState.from_dict(values, "here"))
    with torch.no_grad():
        second.task.weight.copy_(weight)
    second.loop.run()
    assert second.events[:3] == [("evaluate", 4), ("valid", 4), ("save best", 4)]


def test_without_a_clock_it_is_evaluated_so_often_in_its_steps():
    """A run in minutes that goes on in steps has no number of steps between evaluations."""
    run = Run([3.0, 2.0, 1.0, 0.5, 0.4], eval_every=None, eval_times=5)
    run.loop.run()
    assert [step for what, step in run.events if what == "evaluate"] == [2, 4, 6, 8, 10]
