"""`charlm look`: on a terminal, in a pipe, as JSON, as a picture; what every option changes."""

import json
import os
import re
from pathlib import Path

import pytest

import charlm
from contract.command import call, on_terminal
from contract.command import charlm as run_charlm


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("look") / "text.txt"
    path.write_text("the nurse gave tea at noon.\nthe [/b] \x1b café\n", "utf-8")
    return path


def look(*arguments: str | Path) -> str:
    done = call("look", *arguments)
    assert done.code == 0, done.err
    return done.out


def test_json(tiny_run: Path, text: Path, tmp_path: Path) -> None:
    found = json.loads(look(tiny_run, text, "--json", "--alternatives", "2", "--unit", "1:3"))
    assert list(found) == ["run", "bits", "bits_per_character", "shortened", "pieces", "units"]
    assert "".join(piece["text"] for piece in found["pieces"]) == text.read_text("utf-8")
    assert all(len(piece["alternatives"]) == 2 for piece in found["pieces"])
    (unit,) = found["units"]
    assert (unit["layer"], unit["unit"], unit["follows"]) == (1, 3, None)
    assert list(unit["values"]) == ["i", "f", "g", "o", "h", "c"]
    content = text.read_bytes()
    scored = charlm.load(tiny_run).score([content.decode()])
    assert found["bits"] == pytest.approx(next(iter(scored)).bits, rel=1e-5)
    # An exported file and standard input give the same.
    assert call("export", tiny_run, tmp_path / "e.charlm").code == 0
    done = run_charlm("look", tmp_path / "e.charlm", "-", "--json", stdin=content)
    assert json.loads(done.out)["bits"] == pytest.approx(found["bits"], rel=1e-5)


def test_a_pipe_gets_a_line_a_piece(tiny_run: Path, text: Path) -> None:
    lines = [line.split("\t") for line in look(tiny_run, text).splitlines()]
    assert [len(line) for line in lines] == [2] * len(text.read_text("utf-8"))
    assert lines[0][1] == "t" and lines[27][1:] == ["\\n"] and "\\x1b" in [b for _, b in lines]
    more = look(tiny_run, text, "--alternatives", "3", "--length", "5").splitlines()
    assert len(more) == 5 and all(len(line.split("\t")) == 5 for line in more)


def test_a_terminal_gets_colours_and_no_escape_of_the_text(tiny_run: Path, text: Path) -> None:
    shown = on_terminal("look", tiny_run, text, environment={"TERM": "xterm-256color"}).out
    assert re.search(r"\x1b\[[0-9;]*48;", shown)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in plain
    assert "the nurse gave tea at noon.↵" in plain and "the [/b] \\x1b café↵" in plain
    unit = on_terminal(
        "look", tiny_run, text, "--follow", "noon", environment={"TERM": "xterm-256color"}
    )
    assert unit.code == 3 and "nothing to follow" in unit.out
    unit = on_terminal(
        "look", tiny_run, text, "--follow", "line-position",
        environment={"TERM": "xterm-256color"},
    )  # fmt: skip
    plain = re.sub(r"\x1b\[[0-9;]*m", "", unit.out)
    assert re.search(r"layer 1 unit \d+ follows line-position: r = -?\d", plain)
    assert re.search(r"^1:\d+ f ", plain, re.MULTILINE)
    table = on_terminal(
        "look", tiny_run, text, "--alternatives", "1", environment={"TERM": "xterm-256color"}
    )
    assert len(table.out.splitlines()) > 40


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_without_colours_it_is_lines(
    environment: dict[str, str], tiny_run: Path, text: Path
) -> None:
    shown = on_terminal("look", tiny_run, text, environment=environment).out
    assert "\x1b" not in shown
    assert re.match(r"\d+\.\d{4}\tt\n", shown)


def test_a_picture(tiny_run: Path, text: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.svg"
    assert look(tiny_run, text, "--out", file, "--unit", "1:2", "--alternatives", "1") == ""
    first = file.read_text("utf-8")
    assert first.startswith("<svg") and "1:2" in first.replace("\u00a0", " ")
    assert str(tiny_run) not in first
    assert json.loads(look(tiny_run, text, "-o", file, "--json"))["bits"] > 0
    assert file.read_text("utf-8") != first


def test_no_more_of_a_long_text_is_read_than_can_be_shown(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long.txt").write_text("the ward\n" * 1_000_000)
    real, read = charlm.loaded.Model.look, []

    def noted(self: charlm.loaded.Model, text: str, *how: object, **more: object) -> object:
        read.append(len(text))
        return real(self, text, *how, **more)

    monkeypatch.setattr(charlm.loaded.Model, "look", noted)
    done = call("look", tiny_run, tmp_path / "long.txt", "--length", "20")
    assert done.code == 0 and "more text than the 20 tokens" in done.err
    assert 4_000_000 < read[0] < 6_000_000


def test_encoding_and_errors(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes("café".encode("latin-1"))
    assert call("look", tiny_run, file).code == 3
    assert look(tiny_run, file, "--encoding", "latin-1").splitlines()[3].endswith("é")
    assert look(tiny_run, file, "--errors", "replace").splitlines()[3].endswith("\ufffd")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--unit", "1"), 2, "LAYER:NUMBER"),
        (("--unit", "1:25"), 2, "layer 1 has 24"),
        (("--out", "a.png"), 2, ".svg"),
        (("--length", "0"), 2, "--length"),
        (("--alternatives", "nan"), 2, "--alternatives"),
        (("--follow", "("), 2, "--follow"),
        (("--follow", "digits"), 3, "digits"),
    ],
    ids=str,
)
def test_refused(
    arguments: tuple[str, ...], code: int, said: str, tiny_run: Path, text: Path
) -> None:
    done = call("look", tiny_run, text, *arguments)
    assert done.code == code and said in done.err and done.out == ""


def test_what_is_not_there(tiny_run: Path, tmp_path: Path) -> None:
    assert call("look", tiny_run, tmp_path / "none.txt").code == 3
    assert call("look", tmp_path / "none", os.devnull).code == 4
    assert call("look", tiny_run, os.devnull).code == 3
