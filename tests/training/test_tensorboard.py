"""What TensorBoard shows of a run is what its metrics hold, each step once."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import charlm
from charlm.errors import UsageError
from charlm.runs.metrics import read_metrics
from charlm.training import tensorboard
from charlm.training.listener import Evaluation, Report
from charlm.training.loop import Loop
from charlm.training.tensorboard import TensorBoard

SETTINGS = {
    "steps": 9, "hidden_size": 8, "batch_size": 3, "bptt": 8, "eval_every": 4, "report_every": 2,
    "save_every": 0, "precision": "fp32", "device": "cpu", "threads": 1, "tensorboard": True,
}  # fmt: skip


def shown(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars by name."""
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def measured(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The same of metrics.jsonl."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in read_metrics(run / "metrics.jsonl"):
        for name in set(record) - {"step", "split", "seconds", "tokens"}:
            found.setdefault(f"{record['split']}/{name}", []).append(
                (record["step"], pytest.approx(record[name], rel=1e-6))
            )
    return found


def test_every_report_and_evaluation(tiny_text: Path, tmp_path: Path) -> None:
    charlm.train([tiny_text], tmp_path / "run", **SETTINGS)
    found = shown(tmp_path / "run")
    assert found == measured(tmp_path / "run")
    assert [step for step, _ in found["train/lr"]] == [2, 4, 6, 8, 9]
    assert [step for step, _ in found["valid/nats_per_token"]] == [4, 8, 9]


def test_a_resumed_run_shows_no_step_twice(
    tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on from step 5, after 6 has been shown already."""

    class BrokenOff(BaseException):
        pass

    def broken(loop: Loop, best: bool = False) -> None:
        if loop.state.step == 6:
            raise BrokenOff
        save(loop, best)

    save = Loop._save
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_save", broken)
        with pytest.raises(BrokenOff):
            charlm.train([tiny_text], tmp_path / "run", **SETTINGS)
    assert shown(tmp_path / "run")["train/lr"][-1][0] == 6
    charlm.train([], tmp_path / "run", resume=True)
    assert shown(tmp_path / "run") == measured(tmp_path / "run")
    assert len(list((tmp_path / "run/tensorboard").iterdir())) == 2


def report(step: int) -> Report:
    return Report(step, 10 * step, 1.0, 2.0, 0.1, 0.5, 100.0, 0.1, 0.2)


def test_steps_that_are_gone_back_over_are_shown_as_they_were_the_second_time(
    tmp_path: Path,
) -> None:
    board = TensorBoard(tmp_path / "tensorboard", pytest.fail)
    board.begin(0, 10, None)
    for step in (2, 4, 6):
        board.report(report(step))
    board.end()
    board.begin(3, 10, None)
    board.report(report(5))
    board.evaluated(Evaluation(5, 50, 1.0, 2.5, None, None, 5))
    board.end()
    found = shown(tmp_path)
    assert [step for step, _ in found["train/nats_per_token"]] == [2, 5]
    assert found["valid/nats_per_token"] == [(5, 2.5)] and "valid/bits_per_character" not in found


def test_a_disk_that_refuses_is_said_once_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    board = TensorBoard(tmp_path / "file" / "tensorboard", said.append)
    board.begin(0, 10, None)
    board.report(report(2))
    board.end()
    assert len(said) == 1 and "goes on without" in said[0]


def test_without_the_package_nothing_begins(
    tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="tensorboard") as caught:
        charlm.train([tiny_text], tmp_path / "run", **SETTINGS)
    assert "pip install tensorboard" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_force_removes_what_was_shown(tiny_text: Path, tmp_path: Path) -> None:
    charlm.train([tiny_text], tmp_path / "run", **SETTINGS)
    charlm.train([tiny_text], tmp_path / "run", force=True, **SETTINGS | {"tensorboard": False})
    assert not (tmp_path / "run/tensorboard").exists()
