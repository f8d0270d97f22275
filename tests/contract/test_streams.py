"""stdout for results, stderr for people, stdin by `-`; terminals, pipes and full devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.command import QUICK, charlm, on_terminal, plain

ESCAPE = b"\x1b["


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash with pipefail; `charlm` is the command."""
    head = f'set -o pipefail; charlm() {{ "{sys.executable}" -m charlm "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", head + script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=os.environ | environment,
        timeout=60,
    )


def test_train_json_is_one_object(tiny_text: Path, tmp_path: Path) -> None:
    done = charlm("train", tiny_text, "--out", tmp_path / "run", *QUICK, "--json")
    assert done.code == 0
    assert done.out.count("\n") == 1 and done.out.endswith("\n")
    found = json.loads(done.out)
    assert {
        "run", "tokens_per_second", "seconds", "epochs", "steps", "parameters", "valid", "test"
    } <= set(found)  # fmt: skip
    assert found["steps"] == 3 and found["test"] is None
    assert found["run"] == str(tmp_path / "run")
    assert "step=3 " in done.err  # key=value where there is no terminal


def test_train_without_json_leaves_stdout_empty(tiny_text: Path, tmp_path: Path) -> None:
    done = charlm("train", tiny_text, "--out", tmp_path / "run", *QUICK)
    assert (done.code, done.stdout) == (0, b"")
    assert ESCAPE.decode() not in done.err


def test_quiet_says_nothing_and_verbose_more(tiny_text: Path, tmp_path: Path) -> None:
    def said(*options: str) -> str:
        done = charlm("train", tiny_text, "--out", tmp_path / "run", "--force", *QUICK, *options)
        assert done.code == 0
        return done.err

    assert said("-q") == ""
    usual = said()
    assert "MiB" not in usual and "chosen," in usual
    assert "MiB" in said("-v")


def test_quiet_still_says_errors(tmp_path: Path) -> None:
    assert charlm("generate", tmp_path / "nothing", "-q").err.startswith("Error: ")


@pytest.mark.parametrize(
    "arguments",
    [("generate", "RUN", "--num-samples", "2"), ("evaluate", "RUN"), ("info", "RUN")],
    ids=lambda arguments: arguments[0],
)
def test_json_is_all_there_is(arguments: tuple[str, ...], tiny_run: Path) -> None:
    words = [str(tiny_run) if word == "RUN" else word for word in arguments]
    done = charlm(*words, "--json")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == (2 if arguments[0] == "generate" else 1)
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_export_reports_in_json(tiny_run: Path, tmp_path: Path) -> None:
    done = charlm("export", tiny_run, tmp_path / "tiny.charlm", "--json")
    size = (tmp_path / "tiny.charlm").stat().st_size
    assert json.loads(done.out) == {"file": str(tmp_path / "tiny.charlm"), "bytes": size}


def test_closed_pipe_ends_silently_with_0(tiny_run: Path) -> None:
    done = shell(f'charlm generate "{tiny_run}" --length 100000 | head -c 10')
    assert done.returncode == 0
    assert len(done.stdout) == 10 and done.stderr == b""


def test_closed_pipe_ends_help_with_0() -> None:
    done = shell("charlm train --help | true", PYTHONUNBUFFERED="1")
    assert (done.returncode, done.stderr) == (0, b"")
    done = shell("charlm train --help | true", PYTHONUNBUFFERED="")
    assert (done.returncode, done.stderr) == (0, b"")


def test_stdin_to_stdout_in_a_pipeline(tiny_text: Path, tmp_path: Path) -> None:
    text = tiny_text.read_bytes()
    done = charlm("train", "-", "--out", tmp_path / "run", *QUICK, "--json", stdin=text)
    assert done.code == 0
    by_name = charlm("train", tiny_text, "--out", tmp_path / "run2", *QUICK, "--json")
    assert json.loads(done.out)["valid"] == json.loads(by_name.out)["valid"]
    whole = json.loads(charlm("evaluate", tmp_path / "run", "-", "--json", stdin=text).out)
    assert whole["bytes"] == len(text)
    generated = charlm("generate", tmp_path / "run", "-", "--length", "3", stdin=b"the\n\n")
    assert generated.out.startswith("the\n")
    assert not generated.out.startswith("the\n\n\n")


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_part_of_its_own_may_come_through_the_pipe(
    part: str, tiny_text: Path, tmp_path: Path
) -> None:
    text, (one, other) = "she slept well.\n" * 40, (tmp_path / "one", tmp_path / "other")
    (tmp_path / "part.txt").write_text(text)
    how = (*QUICK, "--json")
    piped = charlm("train", tiny_text, f"--{part}", "-", "--out", one, *how, stdin=text.encode())
    named = charlm("train", tiny_text, f"--{part}", tmp_path / "part.txt", "--out", other, *how)
    assert json.loads(piped.out)[part] == json.loads(named.out)[part]
    twice = charlm("train", "-", f"--{part}", "-", "--out", tmp_path / "x", *QUICK, stdin=b"the")
    assert twice.code == 2 and "once" in twice.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "-", "--out", "NEW"),
        ("generate", "RUN", "-"),
        ("generate", "RUN", "--prompts", "-"),
        ("evaluate", "RUN", "-"),
        ("score", "RUN", "-"),
        ("score", "RUN"),
    ],
    ids=" ".join,
)
def test_stdin_that_is_a_terminal_is_refused(
    arguments: tuple[str, ...], tiny_run: Path, tmp_path: Path
) -> None:
    places = {"RUN": str(tiny_run), "NEW": str(tmp_path / "new")}
    refused = on_terminal(*(places.get(word, word) for word in arguments))
    assert refused.code == 2
    assert "terminal" in refused.out and "Traceback" not in refused.out
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("arguments", [("generate",), ("evaluate",)], ids=str)
def test_pipe_that_nobody_reads_is_pointed_out(arguments: tuple[str, ...], tiny_run: Path) -> None:
    with_pipe = charlm(*arguments, tiny_run, stdin=b"the patient\n")
    assert with_pipe.code == 0
    assert "`-`" in with_pipe.err
    assert "`-`" not in charlm(*arguments, tiny_run).err


def test_pipe_that_is_read_is_not_pointed_out(tiny_run: Path) -> None:
    assert charlm("generate", tiny_run, "-", stdin=b"the").err == ""
    assert charlm("score", tiny_run, stdin=b"the\n").err == ""


HOSTILE = "the \x1b]0;owned\x07\x1b[31m\u202e\x9b[x/]\r"
ESCAPED = "the \\x1b]0;owned\\x07\\x1b[31m\\u202e\\x9b[x/]\\x0d"


def test_escape_sequences_in_generated_text(tiny_run: Path) -> None:
    arguments = ("generate", tiny_run, HOSTILE, "--length", "0")
    assert charlm(*arguments).out == HOSTILE
    shown = on_terminal(*arguments)
    assert shown.out == ESCAPED + "\n"  # one line break more on a terminal


def test_escape_sequences_in_scored_text(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes((HOSTILE + "\n").encode())
    exact = charlm("score", tiny_run, path)
    assert exact.out.split("\t", 3)[3] == HOSTILE + "\n"
    shown = on_terminal("score", tiny_run, path)
    assert shown.out.split("\t", 3)[3] == ESCAPED + "\n"
    as_json = charlm("score", tiny_run, path, "--json")
    assert json.loads(as_json.out)["line"] == HOSTILE
    per_token = charlm("score", tiny_run, path, "--per-token")
    assert ESCAPE not in per_token.stdout


def test_escape_sequences_in_file_names(tiny_run: Path, tmp_path: Path) -> None:
    shown = on_terminal("evaluate", tiny_run, tmp_path / "\x1b[31mred")
    assert shown.code == 3
    assert ESCAPE not in shown.stdout and b"\\x1b[31mred" in shown.stdout


def test_markup_in_names_is_literal(tiny_text: Path, tmp_path: Path) -> None:
    done = charlm("train", tiny_text, "--out", tmp_path / "[bold]x[", *QUICK)
    assert done.code == 0
    assert "[bold]x[: the best of its evaluations" in done.err


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_terminal_that_wants_no_colour(name: str, tiny_text: Path, tmp_path: Path) -> None:
    environment = {"NO_COLOR": "1"} if name == "NO_COLOR" else {"TERM": "dumb"}
    arguments = ("train", tiny_text, "--out", tmp_path / "run", *QUICK, "--force")
    done = on_terminal(*arguments, environment=environment)
    assert done.code == 0
    codes = done.stdout.count(ESCAPE)
    if name == "TERM":  # key=value lines instead of a bar
        assert codes == 0 and b"step=3 " in done.stdout and b"\r" not in done.stdout
    else:  # a bar may move the cursor; colours end in m
        import re

        assert not re.findall(rb"\x1b\[[0-9;]*m", done.stdout)


def test_any_locale(tiny_run: Path) -> None:
    text = "café Ωμέγα 李白"
    for name in ("C", "POSIX"):
        how = {"env": os.environ | {"LC_ALL": name, "LANG": name}}
        done = plain("generate", tiny_run, text, "--length", "0", **how)
        assert (done.returncode, done.stdout.decode("utf-8")) == (0, text)
        how |= {"stdin": None, "input": (text + "\n").encode()}
        done = plain("generate", tiny_run, "-", "--length", "0", **how)
        assert (done.returncode, done.stdout.decode("utf-8")) == (0, text)
        done = plain("info", "李白", **how)
        assert done.returncode == 4 and b"Traceback" not in done.stderr


def test_home_that_cannot_be_written(tiny_run: Path) -> None:
    how = {"env": os.environ | {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"}}
    assert plain("generate", tiny_run, "--length", "1", **how).returncode == 0
