"""Averages of weights: EMA and NT-ASGD against the sums of their papers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import charlm
from charlm.runs import checkpoint
from charlm.runs.metrics import read_metrics
from charlm.training.averaging import (
    Averages,
    ExponentialAverage,
    NoAverage,
    NonMonotoneAverage,
    rule_for,
)
from charlm.training.state import Evaluations


def course(steps=20, seed=0):
    """The weights after steps 1 ... n, of two parameters: (n, 3, 4) and (n, 5)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(steps, 3, 4)), rng.normal(size=(steps, 5))


def averaged(rule, evaluations_at, weights):
    """`values` after each step, None where there are none."""
    parameters = [
        nn.Parameter(torch.zeros(part.shape[1:], dtype=torch.float64)) for part in weights
    ]
    averages, found = Averages(parameters, rule), []
    evaluations = Evaluations()
    for step in range(1, len(weights[0]) + 1):
        with torch.no_grad():
            for parameter, part in zip(parameters, weights, strict=True):
                parameter.copy_(torch.from_numpy(part[step - 1]))
        averages.after_step(step, evaluations)
        values = averages.values
        found.append(None if values is None else [value.numpy().copy() for value in values])
        if step in evaluations_at:
            evaluations.add(step, evaluations_at[step], None)
    return found


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_ema_is_the_weighted_mean_of_all_weights_so_far(decay):
    """Kingma & Ba 2015, sec. 7.2: sums of d^(t-i) w_i, corrected for their start."""
    weights = course()
    for t, values in enumerate(averaged(ExponentialAverage(decay), {}, weights), start=1):
        shares = decay ** np.arange(t - 1, -1, -1.0)
        for value, part in zip(values, weights, strict=True):
            wanted = np.tensordot(shares, part[:t], axes=1) / shares.sum()
            np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-12)


def first_trigger(figures, n=5):
    """Algorithm 1 of Merity et al. 2018, line by line: the t at which T is set."""
    logs = []
    for t, v in enumerate(figures):
        if t > n and v > min(logs[: t - n]):
            return t
        logs.append(v)
    return None


@given(st.lists(st.integers(0, 6).map(float), max_size=25))
def test_nt_asgd_begins_where_algorithm_1_does(figures):
    evaluations = Evaluations()
    for t, v in enumerate(figures):
        evaluations.add(10 * (t + 1), v, None)
    t = first_trigger(figures)
    count = NonMonotoneAverage().count(1000, evaluations)
    assert count == (0 if t is None else 1000 - 10 * (t + 1))


def test_nt_asgd_is_the_mean_of_the_weights_after_its_trigger():
    """Figures 5 4 3 6 6 6 6 6 at steps 1 ... 8: the seventh is the first above one that lies more
    than five back."""
    figures = [5.0, 4.0, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0]
    assert first_trigger(figures) == 6
    weights = course()
    found = averaged(NonMonotoneAverage(), dict(enumerate(figures, start=1)), weights)
    assert found[:7] == [None] * 7
    for t in range(8, len(found) + 1):
        for value, part in zip(found[t - 1], weights, strict=True):
            np.testing.assert_allclose(value, part[7:t].mean(axis=0), rtol=0, atol=1e-12)


def test_a_trigger_is_never_taken_back():
    """Better figures after it, those of the averages, change nothing."""
    evaluations = Evaluations()
    for step, nats in enumerate([5.0] * 6 + [6.0] + [1.0] * 9, start=1):
        evaluations.add(step, nats, None)
    assert NonMonotoneAverage().count(16, evaluations) == 16 - 7


def test_an_average_whose_beginning_is_lost_does_not_stand_still():
    """Where metrics.jsonl is lost: else it would be what is kept for good."""
    weight = torch.nn.Parameter(torch.zeros(1))
    averages = Averages([weight], NonMonotoneAverage())
    averages.values = [torch.full((1,), 5.0)]  # of a checkpoint
    averages.after_step(9, Evaluations())
    with averages.in_place():
        assert float(weight.detach()) == 0


def test_who_asks_for_which_rule():
    assert isinstance(rule_for("adamw", None), NoAverage)
    assert rule_for("adamw", 0.99) == ExponentialAverage(0.99)
    assert rule_for("nt-asgd", None) == NonMonotoneAverage(5)


def test_averages_stand_in_the_parameters_and_go_again_exactly_whatever_happens():
    parameter = nn.Parameter(torch.tensor([0.1, 0.2]))
    averages = Averages([parameter], ExponentialAverage(0.5))
    with averages.in_place():
        assert torch.equal(parameter, torch.tensor([0.1, 0.2]))
    averages.after_step(1, Evaluations())
    with torch.no_grad():
        parameter.copy_(torch.tensor([0.3, 0.7]))
    averages.after_step(2, Evaluations())
    raw, values = parameter.detach().clone(), averages.values[0].clone()
    assert not torch.equal(raw, values)
    with pytest.raises(KeyboardInterrupt), averages.in_place():
        assert torch.equal(parameter, values)
        raise KeyboardInterrupt
    assert torch.equal(parameter, raw) and torch.equal(averages.values[0], values)


def test_without_a_rule_nothing_is_averaged():
    assert averaged(NoAverage(), {3: 1.0}, course(5)) == [None] * 5


# A rate at which NT-ASGD's figures soon get worse than those six evaluations before.
@pytest.mark.parametrize(
    "how", [{"ema": 0.9, "lr": 0.05}, {"optimizer": "nt-asgd", "lr": 60.0}], ids=["ema", "nt-asgd"]
)
def test_the_averages_are_evaluated_sampled_and_saved_and_the_raw_weights_beside(
    how: dict[str, float | str], tiny_text: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    summary = charlm.train(
        [tiny_text],
        run,
        **how,
        steps=24,
        hidden_size=12,
        batch_size=4,
        bptt=16,
        eval_every=1,
        precision="fp32",
        device="cpu",
        threads=1,
    )
    last = checkpoint.load(run, "last")
    assert any(
        not np.array_equal(last.groups["raw"][name], averaged)
        for name, averaged in last.groups["weights"].items()
    )
    # `last` as a run of its own: what every verb reads of it is what was evaluated then.
    (run / "checkpoints/best").unlink()
    model = charlm.load(run)
    figures = {
        record["step"]: record["nats_per_token"]
        for record in read_metrics(run / "metrics.jsonl")
        if record["split"] == "valid"
    }
    assert model.evaluate()["nats_per_token"] == pytest.approx(figures[24], rel=1e-5)
    sample = (run / "samples/24.txt").read_text("utf-8")
    written = model.generate(length=160, length_unit="characters", seed=1, precision="fp32")
    assert written == sample
    # The summary is of the best one.
    best = min(figures.values())
    assert summary["valid"]["nats_per_token"] == pytest.approx(best, rel=1e-5)
    assert figures[summary["best_step"]] == best
