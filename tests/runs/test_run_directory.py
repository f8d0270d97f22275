"""The run directory: made, refused, overwritten and found."""

import errno
import os
import random
import stat
from pathlib import Path

import pytest
from run_faults import CONFIG, TOKENIZER, dies_before, failing_call

from charlm.errors import MachineError, RunError, UsageError
from charlm.runs.checkpoint import load
from charlm.runs.directory import RunDirectory
from charlm.runs.manifest import describe, manifest_bytes


def tree(path: Path) -> set[str]:
    return {str(entry.relative_to(path)) for entry in path.rglob("*")}


def test_a_new_run_is_empty_and_its_cache_private(tmp_path: Path):
    run = RunDirectory.create(tmp_path / "a" / "b")
    assert tree(run.path) == {"checkpoints", "cache", "samples", ".lock"}
    assert stat.S_IMODE(run.cache.stat().st_mode) == 0o700
    assert RunDirectory.open(run.path).path == run.path
    assert run.read_summary() is None


def test_small_files_round_trip(run: RunDirectory):
    assert run.config_text == CONFIG
    run.write_config("# größer\r\n")
    assert run.config_text == "# größer\r\n"
    run.write_summary({"valid": {"perplexity": 3.0000000000000004}})
    assert run.read_summary() == {"valid": {"perplexity": 3.0000000000000004}}
    run.summary_path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(RunError, match=r"summary\.json"):
        run.read_summary()


def test_an_existing_run_is_refused_and_says_the_ways_on(run: RunDirectory):
    before = tree(run.path)
    with pytest.raises(UsageError) as caught:
        RunDirectory.create(run.path)
    assert str(run.path) in caught.value.what
    assert "--resume" in caught.value.hint and "--force" in caught.value.hint
    assert tree(run.path) == before and load(run).step == 100


def test_force_removes_the_run_and_nothing_else(run: RunDirectory, tmp_path: Path):
    (run.path / "notes.txt").write_text("mine")
    (run.path / ".summary.json.partial-999999999").write_text("")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "text").write_text("mine")
    (run.samples / "link").symlink_to(tmp_path / "precious")
    RunDirectory.create(run.path, force=True)
    assert tree(run.path) == {"checkpoints", "cache", "samples", ".lock", "notes.txt"}
    assert (tmp_path / "precious" / "text").read_text() == "mine"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_no_run_is_never_emptied(tmp_path: Path, force: bool):
    for names in (["config.toml"], ["checkpoints/x"], ["cache/x"], [".lock"], ["a.txt"]):
        folder = tmp_path / names[0].replace("/", "-")
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("mine")
        before = tree(folder)
        with pytest.raises(UsageError, match="not a run"):
            RunDirectory.create(folder, force=force)
        assert tree(folder) == before
        with pytest.raises(RunError, match="not a charlm run"):
            RunDirectory.open(folder)


def test_whatever_moment_a_process_dies_in_create_the_next_can_go_on(tmp_path: Path):
    died, number = True, 1
    while died:
        path = tmp_path / str(number)
        died = dies_before(number, lambda path=path: RunDirectory.create(path))
        if died:
            try:
                RunDirectory.create(path)
            except UsageError as error:
                assert "--force" in error.hint
                RunDirectory.create(path, force=True)
        assert tree(path) == {"checkpoints", "cache", "samples", ".lock"}
        number += 1
    assert number > 5


def test_places_that_cannot_be_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError) as caught:
            RunDirectory.create(place)
        assert str(place) in caught.value.what and "--out" in caught.value.hint
    for code, expected in [(errno.EROFS, UsageError), (errno.ENOSPC, MachineError)]:
        with failing_call(1, code), pytest.raises(expected, match="new"):
            RunDirectory.create(tmp_path / "new")
    RunDirectory.create(tmp_path / "locked")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="may not be written"):
        RunDirectory.create(tmp_path / "locked", force=True)


def test_a_misspelt_run_gets_the_nearest_name(run: RunDirectory):
    with pytest.raises(RunError) as caught:
        RunDirectory.open(run.path.with_name("mnie"))
    assert "does not exist" in caught.value.what
    assert str(run.path) in caught.value.hint
    with pytest.raises(RunError) as caught:
        RunDirectory.open(run.path / "no" / "such")
    assert "charlm train" in caught.value.hint


def test_a_run_copied_without_hidden_files_opens(run: RunDirectory):
    (run.path / ".lock").unlink()
    assert load(RunDirectory.open(run.path)).step == 100


@pytest.mark.parametrize("name", ["../config.toml", "/etc/hostname", ".x", "a/b", "manifest.json"])
def test_a_tokenizer_manifest_names_no_file_elsewhere(run: RunDirectory, name: str):
    """With hashes that agree, as a hostile writer would see to."""
    target = run.tokenizer / name
    content = target.read_bytes() if target.is_file() else b""
    raw = manifest_bytes("tokenizer", {name: describe(content)})
    for left in run.tokenizer.iterdir():
        left.unlink()
    (run.tokenizer / "manifest.json").write_bytes(raw)
    with pytest.raises(RunError, match="no plain file name"):
        run.read_tokenizer()


def test_tokenizer_files_come_back_or_the_damaged_one_is_named(run: RunDirectory):
    assert run.read_tokenizer() == TOKENIZER
    rng = random.Random(2)
    for name in sorted(os.listdir(run.tokenizer)):
        path = run.tokenizer / name
        raw = path.read_bytes()
        for _ in range(60):
            changed = bytearray(raw)
            changed[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            with pytest.raises(RunError, match=name):
                run.read_tokenizer()
        path.unlink()
        with pytest.raises(RunError, match=name):
            run.read_tokenizer()
        path.write_bytes(raw)
    run.write_tokenizer({"other": b""})
    assert run.read_tokenizer() == {"other": b""}
    (run.tokenizer / "more").write_bytes(b"")
    with pytest.raises(RunError, match="more"):
        run.read_tokenizer()
