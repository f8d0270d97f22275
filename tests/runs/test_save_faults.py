"""Death and disk faults at every system call of a save."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from run_faults import arrays, copy_run, counted_calls, dies_before, failing_call, same_arrays

from charlm.errors import MachineError, RunError
from charlm.runs import checkpoint
from charlm.runs.checkpoint import load, save
from charlm.runs.directory import RunDirectory
from charlm.runs.metrics import MetricsLog, read_metrics, truncate_after
from charlm.storage.atomic import swap_link, write_atomically

STATES = {100: {"step": 100, "loss": 0.1}, 200: {"step": 200, "loss": 0.3}}
SEEDS = {100: 1, 200: 2}


def whole(run: RunDirectory, which: str | int) -> int:
    """The step that `which` loads, after comparing everything in it."""
    found = load(run, which)
    assert same_arrays(found.groups, arrays(SEEDS[found.step]))
    assert found.state == STATES[found.step]
    return found.step


def save_200(run: RunDirectory) -> None:
    save(run, 200, arrays(2), STATES[200], ("last", "best"))


def assert_only(run: RunDirectory, *names: str) -> None:
    assert sorted(os.listdir(run.checkpoints)) == sorted(names)


def test_death_before_every_call_leaves_the_old_or_the_new(
    run: RunDirectory, tmp_path: Path, record_property: Any
):
    seen = set()
    number = 1
    while True:
        copy = copy_run(run, tmp_path / "copy")
        died = dies_before(number, lambda copy=copy: save_200(copy))
        last, best = whole(copy, "last"), whole(copy, "best")
        # Whoever resumes from the new `last` must have the new `best`.
        assert (last, best) in {(100, 100), (100, 200), (200, 200)}
        seen.add((last, best))
        for name in os.listdir(copy.checkpoints):
            if name.isdigit():  # what has a step's name is whole, linked or not
                assert whole(copy, int(name)) == int(name)
        save_200(copy)
        assert whole(copy, "last") == whole(copy, "best") == 200
        assert_only(copy, "200", "best", "last")
        if not died:
            break
        number += 1
    assert number > 35
    assert seen == {(100, 100), (100, 200), (200, 200)}
    record_property("tries", number)


def test_death_in_the_first_save_leaves_none_or_the_whole(tmp_path: Path, record_property: Any):
    number, seen = 1, set()
    died = True
    while died:
        run = RunDirectory.create(tmp_path / str(number))
        died = dies_before(number, lambda run=run: save_200(run))
        try:
            seen.add(whole(run, "best-else-last"))
        except RunError as error:
            assert "no checkpoint" in error.what
            seen.add(0)
        number += 1
    assert seen == {0, 200}
    record_property("tries", number)


def test_death_while_replacing_a_remnant_of_another_trajectory(
    run: RunDirectory, tmp_path: Path, record_property: Any
):
    """A save died between its links: `best` is ahead, with arrays that will not come again."""
    save(run, 200, arrays(9), STATES[200], ("best",))
    number, died = 1, True
    while died:
        copy = copy_run(run, tmp_path / "copy")
        died = dies_before(number, lambda copy=copy: save_200(copy))
        assert whole(copy, "last") in (100, 200)
        best = load(copy, "best")
        assert any(same_arrays(best.groups, arrays(seed)) for seed in (1, 2, 9))
        number += 1
    assert whole(copy, "last") == whole(copy, "best") == 200
    record_property("tries", number)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_fault_at_every_call_keeps_the_last_good_checkpoint(
    run: RunDirectory, tmp_path: Path, code: int, lasting: bool, record_property: Any
):
    number = 1
    outcomes = set()
    while True:
        copy = copy_run(run, tmp_path / "copy")
        with failing_call(number, code, lasting) as failed:
            try:
                save_200(copy)
                saved = True
            except MachineError as error:
                saved = False
                assert str(copy.checkpoints) in error.what and "partial" not in error.what
                assert os.strerror(code) in error.what
                assert error.hint
        if not failed:
            break
        last = whole(copy, "last")
        whole(copy, "best")
        assert not saved or last == 200
        if not saved:
            assert not [name for name in os.listdir(copy.checkpoints) if name.startswith(".")]
        outcomes.add((saved, last))
        save_200(copy)
        assert whole(copy, "last") == 200
        assert_only(copy, "200", "best", "last")
        number += 1
    # Saved, not saved, and not known to be on disk for lack of the last fsync.
    assert outcomes >= {(True, 200), (False, 100), (False, 200)}
    record_property("tries", number)


def test_nothing_is_believed_before_it_is_on_disk(run: RunDirectory):
    """The order that a power cut needs: files, their folder, its name, links; then removal."""
    events: list[tuple[str, str]] = []
    paths: dict[int, str] = {}

    def hook(count: int, name: str, call: Any, args: tuple[Any, ...]) -> Any:
        result = call()
        if name == "open":
            paths[result] = os.fspath(args[0])
        if name in ("write", "fsync"):
            events.append((name, paths[args[0]]))
        elif name != "open":
            events.append((name, os.fspath(args[name in ("rename", "replace", "symlink")])))
        return result

    with counted_calls(hook):
        save_200(run)
    names = [(name, Path(where).name) for name, where in events]
    placed = names.index(("rename", "200"))
    hidden = f".200.partial-{os.getpid()}"
    files = ["weights", "optimizer", "carried"]
    for file in [*(f"{file}.safetensors" for file in files), "state.json", "manifest.json"]:
        written = [i for i, event in enumerate(names) if event == ("write", file)]
        assert written and max(written) < names.index(("fsync", file)) < placed
    assert names.index(("fsync", "manifest.json")) < names.index(("fsync", hidden)) < placed
    on_disk = names.index(("fsync", "checkpoints"), placed)
    first_link = names.index(("replace", "best"))
    last_link = names.index(("replace", "last"))
    assert placed < on_disk < first_link < last_link
    links_on_disk = names.index(("fsync", "checkpoints"), last_link)
    removals = [i for i, (name, _) in enumerate(names) if name in ("rmdir", "unlink")]
    assert removals and min(removals) > links_on_disk


def test_write_atomically_dies_and_fails_between_old_and_new(tmp_path: Path):
    path = tmp_path / "summary.json"
    died, number = True, 1
    while died:
        path.write_bytes(b"old old")
        died = dies_before(number, lambda: write_atomically(path, [b"new ", b"new"]))
        assert path.read_bytes() in (b"old old", b"new new")
        number += 1
    assert path.read_bytes() == b"new new"
    failed, number = ["first"], 1
    while failed:
        path.write_bytes(b"old old")
        for left in tmp_path.glob(".*"):
            left.unlink()
        with failing_call(number, errno.EDQUOT) as failed:
            try:
                write_atomically(path, b"new new")
            except MachineError as error:
                assert str(path) in error.what and "quota" in error.hint
                assert path.read_bytes() == (b"new new" if number > 5 else b"old old")
                assert os.listdir(tmp_path) == ["summary.json"]
            else:
                assert path.read_bytes() == b"new new"
        number += 1


def test_a_disk_that_takes_few_bytes_at_a_time(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:50])))
    save_200(run)
    assert whole(run, "last") == 200
    record = {"step": 1, "text": "x" * 200}
    assert MetricsLog(run.metrics_path, pytest.fail).append(record)
    assert read_metrics(run.metrics_path) == [record]


def test_swap_link_never_leaves_readers_without_one(tmp_path: Path):
    (tmp_path / "last").symlink_to("1")
    died, number = True, 1
    while died:
        died = dies_before(number, lambda: swap_link(tmp_path / "last", "2"))
        assert os.readlink(tmp_path / "last") in ("1", "2")
        number += 1
    assert os.readlink(tmp_path / "last") == "2"


def test_a_dead_process_in_the_tokenizer_leaves_all_or_nothing(run: RunDirectory, tmp_path: Path):
    died, number, seen = True, 1, set()
    new = {"a": b"1", "b": b"2"}
    while died:
        fresh = RunDirectory.create(tmp_path / f"run{number}")
        died = dies_before(number, lambda fresh=fresh: fresh.write_tokenizer(new))
        try:
            assert fresh.read_tokenizer() == new
            seen.add("all")
        except RunError as error:
            assert "is missing" in error.what
            seen.add("nothing")
        number += 1
    assert seen == {"all", "nothing"}


def test_a_reader_follows_a_run_that_is_being_trained(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
):
    """The checkpoint is replaced and removed after its link was read, before its files are."""
    real = checkpoint._load_step
    calls = []

    def late(run: RunDirectory, step: int, groups: Any) -> Any:
        calls.append(step)
        if len(calls) == 1:
            save_200(run)
        return real(run, step, groups)

    monkeypatch.setattr(checkpoint, "_load_step", late)
    assert whole(run, "last") == 200
    assert calls == [100, 200]


def test_metrics_are_cut_atomically(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    old = b'{"step": 1}\n{"step": 2}\n{"st'
    died, number = True, 1
    while died:
        path.write_bytes(old)
        died = dies_before(number, lambda: truncate_after(path, 1))
        assert path.read_bytes() in (old, b'{"step": 1}\n')
        number += 1
    assert path.read_bytes() == b'{"step": 1}\n'
