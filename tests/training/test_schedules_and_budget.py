"""The course of the learning rate, and what ends a run."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm import registry
from charlm.training import budget as budget_module
from charlm.training.budget import Budget
from charlm.training.schedules import constant, cosine, one_cycle, plateau, stlr, warm_up


@pytest.mark.parametrize(
    ("progress", "factor"),
    [
        (0.0, 1.0),
        (0.25, 0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2),
        (0.5, 0.505),
        (1.0, 0.01),
        (1.7, 0.01),
    ],
)
def test_cosine(progress, factor):
    assert cosine(progress, ()) == pytest.approx(factor, abs=1e-12)
    assert constant(progress, ()) == 1.0


@pytest.mark.parametrize("name", registry.SCHEDULES)
@pytest.mark.parametrize("validations", [(), [3.0, 2.0, 1.0]])
def test_every_schedule_is_a_finite_positive_factor_that_peaks_at_1(name, validations):
    schedule = registry.resolve(registry.SCHEDULES, name)
    factors = [schedule(step / 1000, validations) for step in range(1001)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(set(registry.SCHEDULES) - {"plateau"}))
@given(st.floats(0, 1), st.lists(st.floats(0, 9)))
def test_no_schedule_but_plateau_looks_at_the_validations(name, progress, validations):
    schedule = registry.resolve(registry.SCHEDULES, name)
    assert schedule(progress, validations) == schedule(progress, ())


def test_cosine_only_falls():
    factors = [cosine(step / 100, ()) for step in range(101)]
    assert all(a > b for a, b in itertools.pairwise(factors))


def test_one_cycle_is_two_equal_legs_and_then_far_below_its_start():
    """Smith & Topin 2018: 0.1 -> 1 -> 0.1 over nine tenths, then on to 0.001."""
    xs = [0, 0.225, 0.45, 0.675, 0.9, 0.95, 1.0, 1.2]
    ys = [0.1, 0.55, 1.0, 0.55, 0.1, (0.1 + 0.001) / 2, 0.001, 0.001]
    assert [one_cycle(x, ()) for x in xs] == pytest.approx(ys)
    grid = np.linspace(0, 1, 301)
    wanted = np.interp(grid, [0, 0.45, 0.9, 1], [0.1, 1, 0.1, 0.001])
    np.testing.assert_allclose([one_cycle(x, ()) for x in grid], wanted, atol=1e-12)


@pytest.mark.parametrize("steps", [50, 1000])
def test_stlr_is_equation_3_of_howard_and_ruder(steps):
    cut_frac, ratio = 0.1, 32
    cut = math.floor(steps * cut_frac)
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        assert stlr(t / steps, ()) == pytest.approx((1 + p * (ratio - 1)) / ratio, abs=1e-12)
    assert stlr(1.0, ()) == stlr(2.0, ()) == pytest.approx(1 / 32)


@pytest.mark.parametrize(
    ("validations", "factor"),
    [
        ([], 1),
        ([3.0], 1),
        ([3.0, 2.0, 1.0], 1),
        ([3.0, 3.0], 1 / 2),  # as good as the best is no improvement
        ([3.0, 4.0, 2.0], 1 / 2),
        ([3.0, 2.0, 2.5, 2.2, 1.9, 2.0], 1 / 8),  # 2.2 is better than the last, not the best
        ([1.0] * 100, 0.001),
    ],
)
def test_plateau_halves_after_each_evaluation_without_a_better_one(validations, factor):
    for progress in (0.0, 0.4, 1.0):
        assert plateau(progress, validations) == factor


def test_warm_up_is_linear_and_ends_at_1():
    assert [warm_up(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warm_up(0, 0) == 1


def budget_of(epochs=None, steps=None, seconds=None, windows=7, started=0.0, **more):
    return Budget(epochs, steps, seconds, windows, started, **more)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands at .now."""

    class Clock:
        now = 100.0

        @staticmethod
        def monotonic():
            return Clock.now

    monkeypatch.setattr(budget_module, "time", Clock)
    return Clock


@pytest.mark.parametrize(
    ("epochs", "steps", "last"),
    [(None, 12, 12), (2.0, None, 14), (2.0, 12, 12), (1.5, 100, 10), (0.01, None, 1)],
)
def test_steps_and_epochs_end_a_run_at_the_first_of_them(monkeypatch, epochs, steps, last):
    class NoClock:
        @staticmethod
        def monotonic():
            raise AssertionError("a run without --minutes looked at the clock")

    monkeypatch.setattr(budget_module, "time", NoClock)
    budget = budget_of(epochs, steps)
    assert budget.last_step() == last
    assert budget.progress(0) == 0
    assert budget.progress(last) == budget.progress(last + 5) == 1
    if last > 1:
        assert budget.progress(last - 1) == pytest.approx((last - 1) / last)


def test_minutes_count_from_the_start_of_the_command_and_earlier_processes(clock):
    budget = budget_of(seconds=60.0, started=70.0, spent=15.0)
    assert budget.last_step() is None
    assert budget.elapsed() == 45
    assert budget.progress(10**9) == pytest.approx(0.75)
    clock.now = 116.0
    assert budget.progress(0) == 1


def test_time_for_the_last_save_is_kept_back(clock):
    budget = budget_of(seconds=60.0, started=70.0)
    budget.reserve = 20.0
    assert budget.progress(0) == pytest.approx(30 / 40)
    budget.reserve = 100.0
    assert budget.progress(0) == 1


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(st.none(), st.floats(0.1, 50)),
    st.one_of(st.none(), st.integers(1, 500)),
    st.one_of(st.none(), st.floats(1, 500)),
    st.integers(0, 600),
    st.floats(0, 600),
)
def test_progress_is_the_share_of_the_nearest_limit(epochs, steps, seconds, step, now):
    if epochs is None and steps is None and seconds is None:
        return
    budget = budget_of(epochs, steps, seconds)
    budget.elapsed = lambda: now
    shares = [step / max(1, round(epochs * 7))] if epochs is not None else []
    shares += [step / steps] if steps is not None else []
    shares += [now / seconds] if seconds is not None else []
    assert budget.progress(step) == pytest.approx(min(1, max(shares)))
