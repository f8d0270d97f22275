"""A run and an exported file from before there were other cells than the LSTM still do all.

They were written by `charlm train text.txt --steps 12 --hidden-size 8 --embedding-size 6 --layers 2
--batch-size 2 --bptt 8 --inter-layer-dropout 0.1 --eval-every 12` and `charlm export` at 0.1.0, and
lack every setting, key and counter that is younger.
"""

import json
import shutil
from pathlib import Path

import pytest

import charlm

HERE = Path(__file__).parent
FIGURES = json.loads((HERE / "before_cells.json").read_text())


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(HERE / "run_before_cells", tmp_path / "run", symlinks=True)


def test_it_measures_what_it_measured(run):
    found = charlm.load(run).evaluate()
    assert found.keys() >= FIGURES.keys()
    for key, value in FIGURES.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key


def test_run_and_file_are_one_model(run):
    models = [charlm.load(run), charlm.load(HERE / "export_before_cells.charlm")]
    texts = [model.generate("the ", length=40, length_unit="characters") for model in models]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 40
    bits = [[line.bits for line in model.score(["the patient\n"])] for model in models]
    assert bits[0] == bits[1]


def test_it_goes_on(run):
    summary = charlm.train(out=run, resume=True, steps=16)
    assert summary["steps"] == 16
    assert summary["valid"]["nats_per_token"] < FIGURES["nats_per_token"]
    assert charlm.load(run).evaluate()["tokens"] == FIGURES["tokens"]
