"""`charlm train` without a text: the corpora that come with charlm, by name."""

import json
import os
from pathlib import Path

import pytest

import charlm
from charlm.errors import UsageError
from charlm.registry import CORPORA
from contract.command import QUICK, call

FOLDER = Path(charlm.__file__).parent / "corpora"


def train_tokens(*arguments: str) -> int:
    done = call("train", *arguments, *QUICK, "--dry-run", "--json")
    assert done.code == 0, done.err
    return int(json.loads(done.out)["train_tokens"])


def test_every_folder_has_a_name() -> None:
    folders = {entry.name for entry in os.scandir(FOLDER) if entry.is_dir()}
    assert folders - {"__pycache__"} == set(CORPORA)


def test_the_name_chooses_the_text() -> None:
    # ASCII and no rare character: a token is a character.
    sizes = {name: (FOLDER / name / "train.txt").stat().st_size for name in CORPORA}
    assert train_tokens("--corpus", "memory") == sizes["memory"]
    assert train_tokens() == sizes["clinical_notes"]


def test_a_run_on_it_knows_its_limit_and_resumes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = call("train", "--corpus", "memory", "--out", run, *QUICK, "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["valid"]["limit"]["bits_per_character"] == pytest.approx(0.8966, abs=1e-3)
    again = ("train", "--out", run, "--resume", "--steps", "4")
    assert call(*again).code == 0
    refused = call(*again, "--corpus", "clinical_notes")
    assert refused.code == 2 and "--corpus" in refused.err


def test_a_text_beside_it_is_refused(tiny_text: Path, tmp_path: Path) -> None:
    done = call("train", tiny_text, "--corpus", "memory", "--out", tmp_path / "run", *QUICK)
    assert done.code == 2 and "--corpus memory" in done.err and not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="TEXT"):
        charlm.train([tiny_text], tmp_path / "run", corpus="memory", steps=3)


def test_its_parts_are_its_own(tmp_path: Path) -> None:
    arguments = ("--corpus", "memory", "--valid-fraction", "0.2", "--out", tmp_path / "run")
    done = call("train", *arguments, *QUICK)
    assert done.code == 2 and "--valid-fraction" in done.err
