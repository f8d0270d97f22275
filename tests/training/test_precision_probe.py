"""bf16 is chosen only where it is both right and faster."""

import pytest
import torch

from charlm.training import precision
from charlm.training.precision import ProductRates, probe


@pytest.mark.parametrize(
    ("fp32", "bf16", "right", "best"),
    [
        (100.0, 400.0, True, "bf16"),
        (100.0, 400.0, False, "fp32"),
        (100.0, 110.0, True, "fp32"),
        (100.0, 30.0, True, "fp32"),
    ],
)
def test_the_choice(fp32, bf16, right, best):
    assert ProductRates(fp32, bf16, right).best == best


@pytest.fixture
def fast_bf16(monkeypatch):
    """bf16 products are timed at four times the rate."""
    rates = {torch.float32: 50.0, torch.bfloat16: 200.0}
    monkeypatch.setattr(precision, "_rate", lambda a, b: rates[a.dtype])


def test_fast_and_right(fast_bf16):
    found = probe()
    assert (found.fp32, found.bf16, found.bf16_right) == (50, 200, True)
    assert found.best == "bf16"


@pytest.mark.parametrize("error", [0.02, 1.0, float("nan")])
def test_fast_and_wrong(fast_bf16, monkeypatch, error):
    product = torch.Tensor.__matmul__

    def wrong(a, b):
        found = product(a, b)
        return found * (1 + error) if a.dtype == torch.bfloat16 else found

    monkeypatch.setattr(torch.Tensor, "__matmul__", wrong)
    found = probe()
    assert not found.bf16_right
    assert found.best == "fp32"


def test_fewer_threads_where_they_are_faster(monkeypatch):
    before = torch.get_num_threads()
    for slow, chosen in ((4, 2), (2, 4)):
        monkeypatch.setattr(
            precision,
            "probe",
            lambda slow=slow: precision.ProductRates(
                10.0 if torch.get_num_threads() == slow else 50.0, 1.0, True
            ),
        )
        assert precision.fastest_threads(4) == chosen
        assert torch.get_num_threads() == before


def test_threads_are_set_for_a_while():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), precision.set_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        _ = 1 / 0
    assert torch.get_num_threads() == before
    with precision.set_threads(None):
        assert torch.get_num_threads() == before
