"""What --force and --resume must never do: lose a run, or go on with something else."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import charlm
from charlm.errors import DataError, RunError, UsageError
from charlm.planning import ends, resumed
from charlm.precedence import Layer, build
from contract.command import call

SETTINGS = {"hidden_size": 16, "batch_size": 4, "bptt": 8}


def test_force_keeps_the_old_run_until_the_new_text_has_been_read(
    tiny_text: Path, tmp_path: Path
) -> None:
    charlm.train([tiny_text], tmp_path / "run", steps=4, **SETTINGS)
    with pytest.raises(DataError):
        charlm.train([tmp_path / "typo.txt"], tmp_path / "run", steps=9, force=True, **SETTINGS)
    assert charlm.load(tmp_path / "run").stored.step == 4
    charlm.train([tiny_text], tmp_path / "run", steps=9, force=True, **SETTINGS)
    assert charlm.load(tmp_path / "run").stored.step == 9
    assert not [path.name for path in (tmp_path / "run").iterdir() if "partial" in path.name]


def test_force_leaves_the_checkpoints_of_other_programs_alone(
    tiny_text: Path, tmp_path: Path
) -> None:
    other = tmp_path / "project"
    (other / "checkpoints").mkdir(parents=True)
    (other / "config.toml").write_text("[tool]\nname = 'other'\n")
    (other / "checkpoints" / "epoch1.pt").write_bytes(b"precious")
    with pytest.raises(UsageError, match="not a run"):
        charlm.train([tiny_text], other, steps=4, force=True, **SETTINGS)
    assert (other / "checkpoints" / "epoch1.pt").read_bytes() == b"precious"


def test_resume_without_the_run_or_its_text_is_refused(tiny_text: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run"):
        charlm.train(out=tmp_path / "mistyped", resume=True, steps=4)
    charlm.train([tiny_text], tmp_path / "run", steps=4, tokenizer="byte", **SETTINGS)
    for path in (tmp_path / "run" / "cache").iterdir():
        path.unlink()
    with pytest.raises(RunError, match="cache"):
        charlm.train([tiny_text], tmp_path / "run", resume=True, steps=8)
    assert charlm.load(tmp_path / "run").tokenizer.kind == "byte"


def test_what_needs_a_validation_text_needs_it_on_resuming_too(
    tiny_text: Path, tmp_path: Path
) -> None:
    charlm.train([tiny_text], tmp_path / "run", steps=4, valid_fraction=0, **SETTINGS)
    for more in ({"patience": 2}, {"eval_every": 3}):
        with pytest.raises(UsageError, match="needs a validation text"):
            charlm.train([], tmp_path / "run", resume=True, steps=9, **more)
    assert charlm.train([], tmp_path / "run", resume=True, steps=9)["steps"] == 9


def test_an_embedded_corpus_begins_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--corpus NAME"):
        charlm.train([], tmp_path / "run", resume=True, steps=1, **SETTINGS)
    found = charlm.train([], tmp_path / "run", resume=True, corpus="memory", steps=1, **SETTINGS)
    assert found["steps"] == 1
    again = charlm.train([], tmp_path / "run", resume=True, corpus="memory", steps=2)
    assert again["steps"] == 2


def test_names_that_are_no_utf8(tiny_text: Path, tmp_path: Path) -> None:
    """A run may have one; a setting, which is stored, may not."""
    odd = os.fsdecode(b"caf\xe9")
    (tmp_path / f"{odd}.txt").write_bytes(tiny_text.read_bytes())
    for key in ("valid", "test", "init_from"):
        with pytest.raises(UsageError, match="a text that UTF-8 can hold"):
            charlm.train([tiny_text], tmp_path / "x", steps=2, **{key: str(tmp_path / odd)})
    run = tmp_path / odd
    charlm.train([tmp_path / f"{odd}.txt"], run, steps=2, **SETTINGS)
    assert charlm.train([], run, resume=True, steps=4)["steps"] == 4
    assert call("info", run).code == 0


def test_another_limit_takes_the_place_of_the_old_one(tiny_text: Path, tmp_path: Path) -> None:
    charlm.train([tiny_text], tmp_path / "run", steps=4, **SETTINGS)
    summary = charlm.train(out=tmp_path / "run", resume=True, epochs=0.2)
    assert summary["steps"] > 4


def test_a_run_that_goes_on_is_no_longer_finished(
    tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charlm.training.loop import Loop

    charlm.train([tiny_text], tmp_path / "run", steps=4, **SETTINGS)
    real = Loop._step

    def breaks(self: Loop, progress: float) -> None:
        if self.state.step == 6:
            raise KeyboardInterrupt
        real(self, progress)

    monkeypatch.setattr(Loop, "_step", breaks)
    with pytest.raises(KeyboardInterrupt):
        charlm.train(out=tmp_path / "run", resume=True, steps=20)
    monkeypatch.undo()
    assert charlm.train(out=tmp_path / "run", resume=True)["steps"] == 20


@pytest.mark.parametrize("windows", [{"batch_size": 64, "bptt": 16}, {"bptt": 256}])
def test_the_same_command_resumes_what_was_reduced(
    windows: dict[str, int], words: Callable[[int, int], str], tmp_path: Path
) -> None:
    text = tmp_path / "short.txt"
    text.write_text(words(3, 3), "utf-8")
    settings = {"hidden_size": 16, "steps": 4, **windows}
    charlm.train([text], tmp_path / "run", **settings)
    charlm.train([text], tmp_path / "run", resume=True, **{**settings, "steps": 6})
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] == 6


def test_the_limits_of_a_run_given_again_change_nothing(tiny_text: Path, tmp_path: Path) -> None:
    """The same command with --resume is no other budget; a larger one is."""
    limits = {"epochs": 0.5, "minutes": 5.0}
    first = charlm.train([tiny_text], tmp_path / "run", **limits, **SETTINGS)
    for minutes, ended in ((5.0, True), (6.0, False)):
        config = build([Layer("x", {"budget.minutes": minutes})])
        stored = charlm.load(tmp_path / "run").config
        found = resumed(stored, config, ["budget.minutes"], tmp_path)
        assert (ends(found) == ends(stored)) is ended
    assert first["epochs"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("option", ["valid", "test"])
def test_an_empty_name_is_not_the_tail_of_the_text(
    option: str, tiny_text: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no name"):
        charlm.train([tiny_text], tmp_path / "run", steps=1, **{option: ""})
