"""The benchmark's measurements, at sizes that take no time: each gives both ways' figures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from benchmarks import generation, training, vocabulary
from benchmarks.plain import PlainModel
from benchmarks.training import Shape


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru-cho", "rnn"])
def test_a_training_step_is_measured_both_ways(cell: str) -> None:
    found = training.training_step(cell, 2, 6, 11, 3, 4, 2, 2)
    assert cell in found.what
    assert found.plain is not None
    assert min(found.charlm, found.plain) > 0
    assert found.ratio_least <= found.ratio <= found.ratio_most
    assert 0 < found.share < 1


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_operations_of_a_token_are_six_for_each_weight_of_a_product(cell: str) -> None:
    """Two there, a factor and a sum, and twice as many back."""
    model = PlainModel(vocabulary=11, hidden=6, layers=2, cell=cell)
    read = [w for name, w in model.named_parameters() if w.dim() == 2 and "embedding" not in name]
    assert Shape(cell, 2, 6, 11, 3, 4).operations == 6 * sum(w.numel() for w in read)


@pytest.mark.parametrize("name", list(generation.FILTERS))
@pytest.mark.parametrize("samples", [1, 3])
def test_writing_is_measured_both_ways(name: str, samples: int) -> None:
    found = generation.written(2, 6, 9, samples, name, 1)
    assert min(found.charlm, found.plain) > 0


@pytest.mark.parametrize("cutoffs", [(), (20, 50)])
def test_the_memory_of_a_step_is_that_of_a_process(cutoffs: tuple[int, ...]) -> None:
    shape = Shape("lstm", 1, 6, 100, 3, 4, cutoffs)
    assert 50 < vocabulary._peak(shape, "ours") < 2000
