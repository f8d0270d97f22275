"""docs/lecture.md: every command runs, every file is there and every picture is drawn."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from contract.command import call

ROOT = Path(__file__).parents[1]
LECTURE = (ROOT / "docs/lecture.md").read_text("utf-8")
SMALL = (
    "--steps", "2", "--batch-size", "2", "--hidden-size", "8", "--threads", "1",
    "--precision", "fp32", "--device", "cpu", "-q",
)  # fmt: skip

SMALL_SCRIPTS = {
    "scripts/long_dependencies.py": ("--lengths", "5", "--steps", "2"),
    "scripts/simulate_heart_rate.py": ("--days", "1"),
}


def rows() -> list[list[str]]:
    """What part of the lecture, its equation, the file, the command."""
    table = LECTURE.split("| in the lecture ")[1].split("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
    ]


def code(cell: str) -> str:
    (found,) = re.findall(r"^`(.*)`$", cell)
    return found


ROWS = rows()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, words: Callable[[int, int], str]) -> Path:
    folder = tmp_path_factory.mktemp("lecture")
    (folder / "notes.txt").write_text(words(1, 60), "utf-8")
    rows = "".join(f"{words(n, 1).strip()},{'ab'[n % 2]}\n" for n in range(40))
    (folder / "labelled.csv").write_text("text,label\n" + rows, "utf-8")
    return folder


def test_every_part_of_the_lecture_has_a_row() -> None:
    parts = " ".join(part for part, *_ in ROWS)
    for topic in (
        "spell", "feed-forward", "convolution", "recurrent", "shared", "BPTT", "chain", "clipping",
        "vanishing", "relu", "identity", "forget", "update", "cell state", "output", "GRU",
        "stacking", "temporal", "inter-layer", "transfer", "classification", "bidirectional",
        "HR = 86", "surprisal",
    ):  # fmt: skip
        assert topic in parts, topic


@pytest.mark.parametrize("file", sorted({code(row[2]) for row in ROWS}))
def test_every_file_is_there(file: str) -> None:
    assert (ROOT / file).is_file()


def test_every_command_runs_in_order(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for row in ROWS:
        program, *words = shlex.split(code(row[3]))
        if program == "python":
            script = [str(ROOT / words[0]), *words[1:], *SMALL_SCRIPTS[words[0]]]
            done = subprocess.run([sys.executable, *script], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert "| LSTM |" in done.stdout or (place / words[-1]).is_file()
            continue
        assert program == "charlm"
        if words[0] in ("train", "finetune-classify"):
            words += SMALL
        if words[0] == "gradients":
            words += ["--streams", "2"]
        ended = call(*words)
        assert ended.code == 0, f"{row[3]}\n{ended.err}"
        assert ended.out or "--out" in words, row[3]
        for picture in (word for word in words if word.endswith(".svg")):
            assert (place / picture).is_file()


def test_every_picture_is_drawn_by_make_figures() -> None:
    pictures = re.findall(r"\]\((pictures/.*?)\)", LECTURE)
    assert len(pictures) >= 3
    figures = (ROOT / "Makefile").read_text("utf-8").split("\nfigures:")[1].split("\n\n")[0]
    for picture in pictures:
        assert f"docs/{picture}" in figures
        svg = (ROOT / "docs" / picture).read_text("utf-8")
        assert svg.startswith("<?xml") and len(svg) < 150_000
