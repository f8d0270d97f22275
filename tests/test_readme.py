"""Every command of the README is run, with its training cut short; its list of files is true."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")

# Stands in for the installed command: a budget of a few steps in place of minutes.
CHARLM = """#!{python}
import sys
from charlm.cli.main import main
a = sys.argv
if a[1:2] == ["train"]:
    while "--minutes" in a:
        del a[a.index("--minutes") : a.index("--minutes") + 2]
    a += ["--steps", "4", "--hidden-size", "16"] + ["--force"] * ("--dry-run" not in a)
if a[1:2] == ["finetune-classify"]:
    a[a.index("--minutes") : a.index("--minutes") + 2] = ["--steps", "4", "--lm-epochs", "0"]
    a += ["--force"] * ("--force" not in a)
main()
"""
# The two uses the README makes of jq, where it is not installed.
JQ = """#!{python}
import json, sys
for line in sys.stdin:
    value = json.loads(line)[sys.argv[-1].lstrip(".")]
    print(value if sys.argv[1] == "-r" else json.dumps(value))
"""


PYTHON = """#!/bin/sh
exec {python} "$@"
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_commands() -> list[str]:
    """The commands that call charlm, in order; a loop, or what goes on after \\, is one."""
    found, command = [], ""
    for line in "".join(blocks("sh")).splitlines():
        if line.startswith("#"):
            continue
        command += line.split("  #")[0].replace(".venv/bin/", "") + "\n"
        if line.endswith("\\") or (command.startswith("for ") and "done" not in command):
            continue
        found.append(command.strip())
        command = ""
    return [command for command in found if re.search(r"\bcharlm\b", command)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, words: Callable[[int, int], str]) -> Path:
    """A folder with every file that the README's commands name, and the commands on PATH."""
    folder = tmp_path_factory.mktemp("readme")
    text = words(1, 120)
    for name in (
        "mynotes.txt",
        "notes.txt",
        "a.txt",
        "b.txt",
        "other.txt",
        "lines.txt",
        "letter.txt",
    ):
        (folder / name).write_text(text, "utf-8")
    rows = "".join(f"{words(n, 2)!r},{'ab'[n % 2]}\n" for n in range(60)).replace("'", '"')
    (folder / "labelled.csv").write_text("text,label\n" + rows, "utf-8")
    beats = "".join(f"{70 + number % 7}\n" for number in range(600))
    (folder / "hr.csv").write_text("heart_rate\n" + beats, "utf-8")
    (folder / "scripts").symlink_to(ROOT / "scripts")
    (folder / "notes.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "prompts.txt").write_text("the \nshe was \n", "utf-8")
    (folder / "letters").mkdir()
    for number in range(3):
        (folder / "letters" / f"{number}.txt").write_text(text, "utf-8")
    (folder / "corpora").symlink_to(ROOT / "corpora")
    (folder / "bin").mkdir()
    for name, script in (("charlm", CHARLM), ("jq", JQ), ("python", PYTHON)):
        path = folder / "bin" / name
        path.write_text(script.format(python=sys.executable), "utf-8")
        path.chmod(0o755)
    return folder


def test_there_are_ten_commands_to_copy() -> None:
    assert len(shell_commands()) >= 10


def run(command: str, place: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=place,
        env={**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_every_command_runs_in_order(place: Path) -> None:
    for command in shell_commands():
        if "pip " in command:
            continue
        done = run(command, place)
        # `head` may go before `sort` has written all: then it is sort that ends with SIGPIPE.
        fine = (0, 128 + 13) if re.search(r"sort\b.*\| head", command) else (0,)
        assert done.returncode in fine, f"{command}\n{done.stderr.decode()}"
        assert done.stdout or "generate" not in command, command


def test_corpora_are_called_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands that would fetch something: they can be read, and name what there is."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import get_corpus

    calls = re.findall(r"^python scripts/get_corpus.py(.*)$", "".join(blocks("sh")), re.MULTILINE)
    assert len(calls) == 3
    for call in calls:
        get_corpus.arguments(call.split())


def test_the_python_example_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import charlm

    (example,) = blocks("python")
    monkeypatch.chdir(place)
    real = charlm.train
    monkeypatch.setattr(
        charlm,
        "train",
        lambda texts, out, minutes: real(texts, out, steps=4, hidden_size=16, force=True),
    )
    exec(compile(example, "README.md", "exec"), {})


def test_the_list_of_files_is_up_to_date() -> None:
    script = ROOT / "scripts" / "readme_files.py"
    assert subprocess.run([sys.executable, str(script), "--check"]).returncode == 0


def test_the_demo_runs(place: Path) -> None:
    """On the notes that come along, with four steps of training."""
    shown = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True)
    whole = shown.stdout.replace("\\\n", " ").replace(".venv/bin/", "")
    lines = whole.splitlines()
    commands = [line for line in lines if re.search(r"(^|\| )(charlm|python scripts.\S+) ", line)]
    assert commands[0].startswith("charlm train ") and len(commands) >= 4
    for command in commands:
        done = run(command, place)
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
        assert done.stdout or not re.search("charlm (generate|look|score|classify)", command)
    assert any("charlm classify" in command for command in commands)


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(blocks("sh"))))
    assert {"demo", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
