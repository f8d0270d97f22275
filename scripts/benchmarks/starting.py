"""How long a person waits: the help, and the first character, of commands as a shell runs them."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import charlm
from benchmarks.compare import Result, of_pairs

# What a script that loads a model of torch's own and writes with it does before its first token.
PLAIN = """
import sys, torch
from torch import nn
layers = nn.Embedding(96, 128), nn.LSTM(128, 128, 2), nn.Linear(128, 96)
y, _ = layers[1](layers[0](torch.zeros(1, 1, dtype=torch.long)))
print(int(layers[2](y).argmax()), flush=True)
"""


def rows(quick: bool) -> Iterator[Result]:
    """Every figure of this kind, in seconds; a ratio above 1 is in charlm's favour."""
    n = 5 if quick else 11
    command = [sys.executable, "-m", "charlm"]
    with tempfile.TemporaryDirectory() as folder:
        run, text = Path(folder) / "run", Path(folder) / "text"
        text.write_text("the quick brown fox jumps over the lazy dog\n" * 100)
        charlm.train([text], run, layers=2, hidden_size=128, steps=2, threads=1)
        write = [*command, "generate", str(run), "the ", "--length", "1000"]
        waits = {
            "the first character of a 2 x 128": (write, [sys.executable, "-c", PLAIN]),
            "charlm --help": ([*command, "--help"], [sys.executable, "-c", "import torch"]),
        }
        for what, (ours, plain) in waits.items():
            first_byte(ours)
            pairs = [(first_byte(ours), first_byte(plain)) for _ in range(n)]
            yield of_pairs(what, "s", pairs, lambda median: median)


def first_byte(command: list[str]) -> float:
    """Seconds until a command has written something, or has ended."""
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=os.environ
    ) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1)
        seconds = time.perf_counter() - begin
        process.stdout.read()
    return seconds
