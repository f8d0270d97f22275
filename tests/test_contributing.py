"""The examples of CONTRIBUTING.md, applied to a copy of the project and tested there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NEW_FILE = re.compile(r"^`([^`]+)`, a new file:\n\n```python\n(.*?)```", re.DOTALL | re.MULTILINE)
INSERTED = re.compile(
    r"^In `([^`]+)`, after `([^`]+)`:\n\n```python\n(.*?)```", re.DOTALL | re.MULTILINE
)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, words: Callable[[int, int], str]) -> Path:
    """The project with what CONTRIBUTING.md adds to it, and a text to train on."""
    folder = tmp_path_factory.mktemp("contributing")
    for name in ("charlm", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "corpora", "golden")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, content in NEW_FILE.findall(TEXT):
        assert not (folder / name).exists(), name
        (folder / name).write_text(content, "utf-8")
    for name, before, content in INSERTED.findall(TEXT):
        lines = (folder / name).read_text("utf-8").splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip() == before]
        assert len(places) == 1, f"{before!r} is in {name} {len(places)} times"
        lines.insert(places[0] + 1, content)
        (folder / name).write_text("".join(lines), "utf-8")
    (folder / "notes.txt").write_text(words(1, 60) + "20 mg twice, 1999\n", "utf-8")
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_there_is_an_example_of_each() -> None:
    assert len(NEW_FILE.findall(TEXT)) == 3
    assert TEXT.count("```python") == len(NEW_FILE.findall(TEXT)) + len(INSERTED.findall(TEXT))
    assert sum(command.startswith("pytest ") for command in COMMANDS) == 3


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("pytest ")])
def test_conformance_picks_the_example_up(copy: Path, command: str) -> None:
    done = run(copy, *command.split(), "-p", "no:cacheprovider", "-rp")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("\nPASSED ") >= 2, done.stdout[-500:]


def test_the_command_line_has_them(copy: Path) -> None:
    commands = [shlex.split(each) for each in COMMANDS if each.startswith("charlm ")]
    small = ["--steps", "2", "--hidden-size", "8", "--threads", "1", "--precision", "fp32"]
    for command in commands:
        more = small if "train" in command else []
        done = run(copy, *command, *more)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The ")


def test_examples_are_in_the_style_of_the_house(copy: Path) -> None:
    for how in (["check", "--select", "E,F,I,UP,B,SIM"], ["format", "--check"]):
        files = sorted({name for name, *_ in (*NEW_FILE.findall(TEXT), *INSERTED.findall(TEXT))})
        done = run(copy, "ruff", *how, *files)
        assert done.returncode == 0, done.stdout + done.stderr
