"""What the libraries behind torch are told reaches them before their first product."""

import os
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


def prepared(shapes, words):
    """How often oneDNN had to prepare something, where it keeps what is of the last `shapes`."""
    program = (
        f"from charlm.model.kernels import libraries; libraries._SHAPES = {shapes}; "
        "from charlm.cli.main import main; main()"
    )
    # Without what this process has been told itself.
    kept = {k: v for k, v in os.environ.items() if k != "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        env={**kept, "ONEDNN_VERBOSE": "2"}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.count("create:cache_miss")


@pytest.mark.parametrize("verb", ["score", "train", "finetune-classify"])
def test_few_shapes_are_kept(verb, tiny_run, tiny_text, tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(("the patient " * 30)[:n] + "\n" for n in range(1, 300)) * 2)
    table = tmp_path / "texts.csv"
    answers = [("the patient " * 30)[: 12 * n] + f",{n % 2}\n" for n in range(1, 30)]
    table.write_text("text,label\n" + "".join(answers))
    words = {
        "score": ["score", tiny_run, lines, "--threads", "1", "--precision", "fp32"],
        "train": ["train", tiny_text, "--out", tmp_path / "run", "--steps", "30", "--bptt", "8",
                  "--variable-bptt", "--hidden-size", "8", "--precision", "fp32", "--force"],
        "finetune-classify": ["finetune-classify", "none", table, "--out", tmp_path / "run",
                              "--steps", "6", "--batch-size", "2", "--hidden-size", "8",
                              "--precision", "fp32", "--no-baseline", "--force"],
    }[verb]  # fmt: skip
    assert prepared(1, words) > prepared(1024, words)
