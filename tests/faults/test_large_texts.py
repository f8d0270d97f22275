"""One line of 200 MB, ten million empty lines: read, tokenized and scored in bounded memory."""

import json
import re

import pytest
from contract.command import QUICK, charlm

MIB = 2**20
BOUND = 600  # MiB of a process with torch in it, whatever the text


def written(path, kind, long_run):
    """A text of that kind: in the long run as large as the contract says."""
    if kind == "one line":
        line = b"the patient came to ward four and slept well " * 1000
        count = (200 if long_run else 3) * MIB // len(line)
        with open(path, "wb") as file:
            for _ in range(count):
                file.write(line)
    else:
        path.write_bytes(b"\n" * (10**7 if long_run else 3 * 10**5))
    return path


def memory(ended):
    """MiB that the command says it took."""
    assert ended.code == 0, ended.err
    return int(re.search(r"and (\d+) MiB of memory", ended.err)[1])


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("kind", ["one line", "empty lines"])
def test_training_and_measuring_take_bounded_memory(tmp_path, kind, long_run):
    text, run = written(tmp_path / "text.txt", kind, long_run), tmp_path / "run"
    small = tmp_path / "small.txt"
    small.write_bytes(text.read_bytes()[:100_000])
    usual = memory(charlm("train", small, "--out", tmp_path / "usual", *QUICK, "-v"))
    took = memory(charlm("train", text, "--out", run, *QUICK, "-v", "--valid-fraction", "0"))
    assert took < usual + 150 and took < BOUND
    # Its longest line is scored whole, or its many lines one by one.
    if kind == "empty lines":
        lines = tmp_path / "lines.txt"
        lines.write_bytes(b"\n" * (10**5 if long_run else 3000))
        ended = charlm("score", run, lines, "--json", "-v")
        assert memory(ended) < BOUND
        found = [json.loads(line) for line in ended.out.splitlines()]
        assert len(found) == len(lines.read_bytes())
        assert all(line["tokens"] == 1 for line in found)
