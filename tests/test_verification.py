"""Verifying a run: each damage is found in its part, and the command that is given mends it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from contract.command import call

import charlm
from charlm import api
from charlm.errors import DataError, RunError
from charlm.runs.checkpoint import load, save
from charlm.runs.directory import RunDirectory

NAMES = ["configuration", "tokenizer", "link last", "link best", "token cache", "metrics",
         "summary"]  # fmt: skip


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that was trained on without becoming better."""
    run = tmp_path / "mine"
    shutil.copytree(tiny_run, run, symlinks=True)
    charlm.train([], run, resume=True, steps=62)
    before = load(tiny_run, "last")
    save(RunDirectory.open(run), before.step, before.groups, before.state, ("best",))
    return run


def steps(run: Path) -> dict[str, str]:
    return {name: os.readlink(run / "checkpoints" / name) for name in ("best", "last")}


def flip(path: Path, at: int = -3) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 4
    path.write_bytes(raw)


def damaged(run: Path) -> list[str]:
    return [part.name for part in api.verify(run).damaged]


def remedy(run: Path, name: str) -> str:
    found = {part.name: part for part in api.verify(run).parts}[name].remedy
    assert found
    return found


def test_a_whole_run_is_whole_and_nothing_is_changed(run: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    before = content()
    found = api.verify(run)
    assert found.damaged == [] and found.readable and found.resumable
    shown = {f"checkpoint {step}" for step in steps(run).values()}
    assert {part.name for part in found.parts} == {*NAMES, *shown}
    by = {part.name: part.written_by for part in found.parts if part.written_by}
    assert by == dict.fromkeys([*shown, "tokenizer"], charlm.__version__)
    assert content() == before


@pytest.mark.parametrize("link", ["best", "last"])
@pytest.mark.parametrize("file", ["weights", "optimizer", "carried"])
def test_a_damaged_checkpoint_is_left_for_the_whole_one(run: Path, link: str, file: str) -> None:
    there = steps(run)
    other = there["last" if link == "best" else "best"]
    flip(run / "checkpoints" / link / f"{file}.safetensors")
    found = api.verify(run)
    assert [part.name for part in found.damaged] == [f"checkpoint {there[link]}", f"link {link}"]
    assert (found.readable, found.resumable) == (link == "last", False)
    command = remedy(run, f"link {link}")
    assert command == f"ln -sfn {other} {run}/checkpoints/{link}"
    subprocess.run(command, shell=True, check=True)
    found = api.verify(run)
    assert found.readable and found.resumable
    assert damaged(run) == [f"checkpoint {there[link]}"]
    assert charlm.load(run).generate(length=3)
    charlm.train([], run, resume=True, steps=64)
    assert damaged(run) == []


def test_a_damaged_tokenizer_and_cache_are_made_again_from_the_text(
    run: Path, tiny_text: Path, tmp_path: Path
) -> None:
    flip(run / "tokenizer" / "tokenizer.json")
    flip(run / "cache" / "train.ids", 1)
    assert damaged(run) == ["tokenizer", "token cache"]
    for name in ("tokenizer", "token cache"):
        command = remedy(run, name).partition(": ")[2]
        command = command.replace("TEXT", str(tiny_text)).replace("NEW", str(tmp_path / name[-5:]))
        assert command.startswith("charlm train ")
        first, *rest = command.split(" && ")
        ended = call(*first.split()[1:])
        assert ended.code == 0, ended.err
        subprocess.run(" && ".join(rest), shell=True, check=True)
    assert damaged(run) == []
    charlm.train([], run, resume=True, steps=64)


def test_lines_of_metrics_and_a_summary_are_left_out(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    lines[0], lines[2] = b'{"step": "x"}\n', b"{\n"
    (run / "metrics.jsonl").write_bytes(b"".join(lines))
    (run / "summary.json").write_text("{")
    assert damaged(run) == ["metrics", "summary"]
    subprocess.run(remedy(run, "metrics").partition(": ")[2], shell=True, check=True)
    subprocess.run(remedy(run, "summary").partition(" && ")[0], shell=True, check=True)
    assert (run / "metrics.jsonl").read_bytes() == b"".join([lines[1], *lines[3:]])
    found = api.verify(run)
    assert found.damaged == [] and found.resumable


def test_parts_that_do_not_belong_together_are_told_apart(run: Path, tmp_path: Path) -> None:
    """Each is whole by its own hashes: other sizes in the configuration, another run's tokens."""
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("hidden_size = 24", "hidden_size = 25"))
    found = api.verify(run)
    assert {part.name for part in found.damaged} >= {f"checkpoint {steps(run)['last']}"}
    assert not found.readable
    (run / "config.toml").write_text(text)
    # The same letters in another order of frequency: as many tokens, with other meanings.
    other = tmp_path / "other"
    mapping = str.maketrans("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza")
    document = tmp_path / "other.txt"
    source = json.loads((run / "cache/manifest.json").read_text())["sources"]
    assert source
    known = json.loads((run / "tokenizer/tokenizer.json").read_text())
    document.write_text("".join(known["characters"]).translate(mapping) * 400)
    charlm.train([document], other, steps=1, hidden_size=8, threads=1, precision="fp32")
    shutil.rmtree(run / "cache")
    shutil.copytree(other / "cache", run / "cache")
    assert damaged(run) == ["token cache"]
    with pytest.raises(RunError, match="another tokenizer"):
        charlm.train([], run, resume=True, steps=64)
    with pytest.raises(DataError, match="another tokenizer"):
        charlm.load(run).evaluate()


def test_a_run_without_a_checkpoint_and_an_exported_file(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.charlm"
    api.export(run, file)
    found = api.verify(file)
    assert found.damaged == [] and found.readable and not found.resumable
    flip(file)
    found = api.verify(file)
    assert [part.name for part in found.damaged] == ["model"] and not found.readable
    for link in ("best", "last"):
        (run / "checkpoints" / link).unlink()
    for step in (run / "checkpoints").iterdir():
        shutil.rmtree(step)
    assert damaged(run) == ["link last"] and "train --resume" in remedy(run, "link last")
    assert api.verify(run).resumable
    (run / "checkpoints" / "last").symlink_to("../../elsewhere")
    assert damaged(run) == ["link last"] and "--force" in remedy(run, "link last")
    assert not api.verify(run).resumable


def test_the_command_says_the_same_and_ends_with_4(run: Path, tiny_run: Path) -> None:
    ended = call("verify", tiny_run)
    assert ended.code == 0 and ended.err == ""
    assert all("\twhole" in line for line in ended.out.splitlines())
    flip(run / "checkpoints/last/weights.safetensors")
    ended = call("verify", run)
    assert ended.code == 4
    assert f"-> {remedy(run, 'link last')}" in ended.out
    assert "it can write, measure and score and it can not be trained on" in ended.err
    ended = call("verify", run, "--json")
    found = json.loads(ended.out)
    assert ended.code == 4 and found == api.verify(run).as_dict()
    assert re.search("SHA-256", found["parts"][3]["wrong"] or found["parts"][2]["wrong"])
    assert call("verify", run / "nothing").code == 4
