"""--resume, --force, --out: what goes on, what is refused, what is overwritten."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import torch

from charlm.runs.directory import RunDirectory
from contract.command import Finished, call, charlm

QUICK = (
    "--steps", "6", "--hidden-size", "8", "--batch-size", "2", "--bptt", "8", "--threads", "1",
    "--precision", "fp32", "--device", "cpu", "--eval-every", "3", "--report-every", "2",
)  # fmt: skip


@pytest.fixture
def run(tiny_text: Path, tmp_path: Path, half_done: Path) -> Path:
    """A finished run of six steps."""
    shutil.copytree(half_done, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


@pytest.fixture(scope="module")
def half_done(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("half") / "run"
    assert call("train", tiny_text, "--out", out, *QUICK).code == 0
    return out


def contents(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def resume(run: Path, *arguments: str | Path) -> Finished:
    return call("train", *arguments, "--out", run, "--resume")


def test_existing_run_is_refused(run: Path, tiny_text: Path) -> None:
    before = contents(run)
    refused = call("train", tiny_text, "--out", run, *QUICK)
    assert refused.code == 2
    assert "--resume" in refused.err and "--force" in refused.err
    assert contents(run) == before


def test_force_starts_anew_and_leaves_other_files(run: Path, tiny_text: Path) -> None:
    (run / "notes.txt").write_text("mine")
    done = call("train", tiny_text, "--out", run, *QUICK, "--seed", "2", "--force", "--json")
    assert done.code == 0
    assert json.loads(done.out)["steps"] == 6
    assert (run / "notes.txt").read_text() == "mine"
    assert "seed = 2" in (run / "config.toml").read_text()


def test_out_is_made_with_its_parents(tiny_text: Path, tmp_path: Path) -> None:
    out = tmp_path / "a/b/run"
    assert call("train", tiny_text, "-o", out, *QUICK, "--steps", "1").code == 0
    assert (out / "summary.json").is_file()
    assert (out / "cache").stat().st_mode & 0o777 == 0o700


def test_finished_run_says_so_and_changes_nothing(run: Path, tiny_text: Path) -> None:
    before = contents(run)
    for words in ((), ("--steps", "6"), (tiny_text, *QUICK), ("--report-every", "3")):
        done = resume(run, *words, "--json")
        assert done.code == 0, done.err
        assert "finished" in done.err
        assert json.loads(done.out)["steps"] == 6
        assert contents(run) == before


def test_larger_budget_goes_on(run: Path, tiny_text: Path) -> None:
    done = resume(run, tiny_text, *QUICK, "--steps", "9", "--threads", "1", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == 9
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    trained = [record["step"] for record in records if record["split"] == "train"]
    assert trained == sorted(set(trained)) and trained[-1] == 9


def test_budget_threads_and_reports_may_change(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    done = resume(run, "--steps", "8", "--report-every", "1", "--threads", "2")
    assert done.code == 0, done.err
    assert threads == [2]
    config = (run / "config.toml").read_text()
    assert "threads = 2" in config and "report_every = 1" in config and "steps = 8" in config


def test_limit_that_is_given_takes_the_place_of_minutes(tiny_text: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick = [word for word in QUICK if word not in ("--steps", "6")]
    assert call("train", tiny_text, "--out", out, *quick, "--minutes", "0.000001").code == 0
    assert tomllib.loads((out / "config.toml").read_text())["budget"]["minutes"] == 0.000001
    done = resume(out, "--steps", "4", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == 4
    assert tomllib.loads((out / "config.toml").read_text())["budget"]["minutes"] == "none"


@pytest.mark.parametrize(
    ("option", "value", "has"),
    [
        ("--hidden-size", "9", "8"),
        ("--seed", "2", "1"),
        ("--lr", "0.5", ""),
        ("--tokenizer", "byte", "char"),
        ("--valid-fraction", "0.3", "0.1"),
        ("--temporal-dropout", "0.4", ""),
        ("--batch-size", "3", "2"),
        ("--direction", "backward", "forward"),
    ],
)
def test_other_setting_is_refused(option: str, value: str, has: str, run: Path) -> None:
    before = contents(run)
    refused = resume(run, option, value)
    assert refused.code == 2
    assert f"{option} is {value}, and the run has {has}" in refused.err
    assert contents(run) == before


def test_all_changes_are_named_at_once(run: Path) -> None:
    refused = resume(run, "--seed", "5", "--hidden-size", "9")
    assert "--seed" in refused.err and "--hidden-size" in refused.err


def test_other_corpus_is_refused(run: Path, tiny_text: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(tiny_text.read_text("utf-8") + "x", "utf-8")
    refused = resume(run, other, "--steps", "9")
    assert refused.code == 2
    assert "text" in refused.err
    same = tmp_path / "same.txt"  # where it is does not count
    shutil.copy(tiny_text, same)
    assert resume(run, same, "--steps", "7").code == 0


def test_corpus_edited_meanwhile_has_no_effect(tiny_text: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    shutil.copy(tiny_text, mine)
    assert call("train", mine, "--out", tmp_path / "run", *QUICK).code == 0
    mine.write_text("something else")
    assert resume(tmp_path / "run", "--steps", "8").code == 0


def test_resume_without_a_run_starts_one(tiny_text: Path, tmp_path: Path) -> None:
    done = resume(tmp_path / "new", tiny_text, *QUICK, "--steps", "2", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == 2
    assert f"There is no run in {tmp_path / 'new'} yet" in done.err


def test_run_in_use_names_who_holds_it(run: Path) -> None:
    import os

    with RunDirectory.open(run).lock():
        refused = charlm("train", "--resume", "--out", run, "--steps", "9")
    assert refused.code == 2
    assert f"process {os.getpid()} " in refused.err
