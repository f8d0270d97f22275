"""The course of the learning rate, and what ends a run."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm import registry
from charlm.training import budget as budget_module
from charlm.training.budget import Budget
from charlm.training.schedules import constant, cosine, warm_up


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
    assert cosine(progress) == pytest.approx(factor, abs=1e-12)
    assert constant(progress) == 1.0


@pytest.mark.parametrize("name", registry.SCHEDULES)
def test_every_schedule_is_a_finite_positive_factor_that_peaks_at_1(name):
    schedule = registry.resolve(registry.SCHEDULES, name)
    factors = [schedule(step / 1000) for step in range(1001)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1)


def test_cosine_only_falls():
    factors = [cosine(step / 100) for step in range(101)]
    assert all(a > b for a, b in itertools.pairwise(factors))


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
