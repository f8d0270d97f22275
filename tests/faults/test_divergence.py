"""Loss that is not a number: one retry that a kill anywhere does not change, then 5."""

import json

import pytest

from charlm.runs.checkpoint import load
from faults.processes import Fault, NanAtFullRate, charlm, last_step, metrics, result, resume, train

STEP = "charlm.training.loop:Loop._step"
LINK = "charlm.runs.checkpoint:swap_link"
TRUNCATE = "charlm.saved_training:truncate_after"
AT = 13  # of 17 steps, with evaluations after 5, 10, 15: the best before is that of 10


def rates(run):
    """The learning rate of each report by its step."""
    return {line["step"]: line["lr"] for line in metrics(run) if line["split"] == "train"}


@pytest.fixture(scope="module")
def retried(tmp_path_factory):
    """A run that diverged once, by which step it was gone back to."""
    from faults.processes import corpus

    folder = tmp_path_factory.mktemp("retried")
    corpus(folder)
    found = {}
    for at in (AT, 3):
        run = folder / str(at)
        ended = train(folder, run, fault=NanAtFullRate(at))
        assert ended.code == 0, ended.err
        assert f"diverged at step {at}" in ended.err and "half the learning rate" in ended.err
        found[at] = run, result(run)
    return found


@pytest.mark.parametrize(("at", "back"), [(AT, 10), (3, 0)])
def test_training_goes_on_from_the_best_or_the_beginning_at_half_the_rate(
    retried, uninterrupted, at, back
):
    run, found = retried[at]
    whole = rates(uninterrupted[0])
    # Rates are reported after 4, 8, 12, 16 and 17: those after `back` are halved.
    assert rates(run) == {
        step: pytest.approx(lr / 2 if step > back else lr) for step, lr in whole.items()
    }
    steps = [(line["split"], line["step"]) for line in metrics(run)]
    assert len(set(steps)) == len(steps) == len(metrics(uninterrupted[0]))
    before = [line for line in metrics(run) if line["step"] <= back]
    assert before == metrics(uninterrupted[0])[: len(before)]
    state = json.loads((run / "checkpoints/last/state.json").read_text())
    assert state["lr_factor"] == 0.5 and state["step"] == 17
    assert found["last weights"] != uninterrupted[1]["last weights"]


@pytest.mark.parametrize(
    ("at", "place", "number", "step"),
    [
        pytest.param(AT, STEP, 9, 8, id="before it diverges"),
        pytest.param(AT, STEP, AT, AT - 1, id="just before it diverges"),
        # Links: `last` by each save, and at 5 and 10 `best` and `last` before it.
        pytest.param(AT, LINK, 17, 12, id="before last goes back to the best"),
        pytest.param(AT, LINK, 18, 10, id="before the best is saved again"),
        pytest.param(AT, TRUNCATE, 2, 10, id="before the metrics are cut"),
        pytest.param(AT, STEP, AT + 1, 10, id="before the first step of the retry"),
        pytest.param(AT, STEP, AT + 2, 11, id="after the first step of the retry"),
        pytest.param(AT, STEP, AT + 4, 13, id="past where it diverged"),
        pytest.param(3, LINK, 3, 2, id="before last goes back to the beginning"),
        pytest.param(3, TRUNCATE, 2, 0, id="before the metrics are cut, at the beginning"),
        pytest.param(3, STEP, 4, 0, id="before the first step from the beginning"),
        pytest.param(3, STEP, 5, 1, id="after the first step from the beginning"),
    ],
)
def test_a_run_killed_around_its_retry_ends_with_the_same_bytes(
    folder, retried, at, place, number, step
):
    run = folder / "run"
    killed = train(folder, run, fault=NanAtFullRate(at, Fault(place, number, "kill")))
    assert killed.code == -9, killed.err
    assert last_step(run) == step
    again = resume(folder, run, fault=NanAtFullRate(at))
    assert again.code == 0, again.err
    assert result(run) == retried[at][1]


# An L2 decay of 100 multiplies matrices by 1 - 100 lr: a step of -2.9 makes them overflow.
OVERFLOWING = (
    "--optimizer", "sgd", "--weight-decay", 100, "--schedule", "constant", "--warmup-steps", 0,
    "--steps", 110, "--eval-every", 5, "--report-every", 5, "--save-every", 1e6,
)  # fmt: skip


def test_a_rate_that_really_overflows_and_half_of_which_does_not(folder):
    run = folder / "run"
    ended = train(folder, run, *OVERFLOWING, "--lr", 0.039)
    assert ended.code == 0, ended.err
    assert ended.err.count("diverged") == 1
    assert all(lr == 0.0195 for step, lr in rates(run).items() if step > 20)
    assert json.loads((run / "summary.json").read_text())["steps"] == 110


def test_a_rate_half_of_which_overflows_too_ends_with_5_and_what_was_good_stays(folder):
    run = folder / "run"
    ended = train(folder, run, *OVERFLOWING, "--lr", 0.08)
    assert ended.code == 5, ended.err
    assert ended.err.count("diverged") == 2 and "--lr" in ended.err
    assert not (run / "summary.json").exists()
    best = load(run, "best")
    assert best.step % 5 == 0
    assert charlm(folder, "evaluate", run).code == 0
    assert resume(folder, run).code == 5
    assert load(run, "best").step == best.step


def test_without_a_validation_text_there_is_still_one_retry(folder):
    run = folder / "run"
    options = ("--valid-fraction", 0, "--eval-every", "auto")
    ended = train(folder, run, *options, fault=NanAtFullRate(AT))
    assert ended.code == 0, ended.err
    assert set(rates(run)) == {4, 8, 12, 16, 17}
    assert load(run, "last").state["lr_factor"] == 0.5
