"""kill -9 anywhere, and --resume ends with the bytes of a run that was never killed."""

import pytest

from charlm.runs.checkpoint import load
from faults.processes import STEPS, Fault, last_step, metrics, result, resume, train

STEP = "charlm.training.loop:Loop._step"
WRITE = "charlm.runs.checkpoint:write_new"  # 5 files a checkpoint
PLACE = "charlm.runs.checkpoint:place_folder"
LINK = "charlm.runs.checkpoint:swap_link"

# Where, at which call, and the step that the resumed run must go on from.
KILLS = [
    pytest.param("charlm.planning:prepare", 1, None, id="before the text is read"),
    pytest.param("charlm.text.token_cache:tokenizer_for", 1, None, id="while the text is read"),
    pytest.param("charlm.runs.directory:RunDirectory.write_config", 1, None, id="before config"),
    pytest.param(STEP, 1, None, id="before the first step"),
    pytest.param(WRITE, 3, None, id="within the first save"),
    pytest.param(STEP, 2, 1, id="after the first save"),
    pytest.param(STEP, 11, 10, id="after an evaluation"),
    pytest.param(STEP, 14, 13, id="between report and evaluation"),
    pytest.param("charlm.training.gradients:clip", 9, 8, id="within a step"),
    pytest.param("charlm.runs.metrics:MetricsLog._write", 2, 4, id="before a line of metrics"),
    pytest.param("charlm.evaluation.token_nats:TokenReader._chunk", 2, 4, id="within evaluating"),
    pytest.param("charlm.assembly:Assembly._sample", 2, 9, id="between figure and best"),
    pytest.param(WRITE, 5 * 8 + 2, 7, id="within a save, after a report"),
    pytest.param(WRITE, 5 * 9 + 5, 8, id="within a save: manifest"),
    pytest.param(PLACE, 7, 6, id="within a save: before the rename"),
    pytest.param(LINK, 5, 4, id="within a save: before best is linked"),
    pytest.param(LINK, 6, 4, id="within a save: between the links"),
    pytest.param("charlm.runs.checkpoint:_tidy", 9, 8, id="within a save: before tidying"),
    pytest.param("charlm.assembly:Assembly._sample", 4, STEPS, id="after the last figure"),
    pytest.param("charlm.runs.directory:RunDirectory.write_summary", 1, STEPS, id="at the end"),
]


@pytest.mark.parametrize(("place", "number", "step"), KILLS)
def test_a_killed_run_goes_on_to_the_same_bytes(folder, uninterrupted, place, number, step):
    run = folder / "run"
    killed = train(folder, run, fault=Fault(place, number, "kill"))
    assert killed.code == -9, killed.err
    assert last_step(run) == step
    if step is not None:
        assert load(run, "last").step == step
    # The command that was killed, with --resume: where nothing was saved, that needs the text.
    again = train(folder, run, "--resume")
    assert again.code == 0, again.err
    found, wanted = result(run), uninterrupted[1]
    assert found == wanted
    steps = [(line["split"], line["step"]) for line in metrics(run)]
    assert len(set(steps)) == len(steps)


def test_a_backward_run_is_killed_and_goes_on(folder):
    """While its text is turned round, within a step, and within evaluating its end first."""
    back = ("--direction", "backward")
    assert train(folder, folder / "whole", *back).code == 0
    wanted = result(folder / "whole")
    for place, number, step in (
        ("charlm.text.direction:reversed_units", 2, None),
        ("charlm.training.gradients:clip", 9, 8),
        ("charlm.evaluation.token_nats:TokenReader._chunk", 2, 4),
    ):
        run = folder / f"killed-{step}"
        assert train(folder, run, *back, fault=Fault(place, number, "kill")).code == -9
        assert last_step(run) == step
        again = train(folder, run, *back, "--resume")
        assert again.code == 0, again.err
        assert result(run) == wanted


def test_killed_again_and_again(folder, uninterrupted):
    """Each process lives for two steps more; the command names nothing but the run."""
    run = folder / "run"
    assert train(folder, run, fault=Fault(STEP, 3, "kill")).code == -9
    lives = [last_step(run)]
    while (ended := resume(folder, run, fault=Fault(STEP, 4, "kill"))).code == -9:
        lives.append(last_step(run))
    assert ended.code == 0, ended.err
    assert lives == [2, 5, 8, 11, 14]
    assert result(run) == uninterrupted[1]


def test_a_finished_run_says_so_and_changes_nothing(folder, uninterrupted):
    run, wanted = uninterrupted
    before = (run / "metrics.jsonl").read_bytes()
    ended = resume(folder, run)
    assert ended.code == 0 and "is finished" in ended.err
    assert (run / "metrics.jsonl").read_bytes() == before
    assert result(run) == wanted
