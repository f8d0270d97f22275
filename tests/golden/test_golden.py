"""Training computes what it computed when its losses were written down."""

import json

import pytest

from golden.make import FILE, KERNELS, RATES, STEPS, all_losses, machine_kind

GOLDEN = json.loads(FILE.read_text())
kernels = pytest.mark.parametrize("kernel", KERNELS)
dropouts = pytest.mark.parametrize("name", RATES)


@pytest.fixture(scope="module")
def found():
    return all_losses()


@dropouts
@kernels
def test_bit_by_bit_on_a_machine_of_the_same_kind(found, kernel, name):
    kind = machine_kind()
    if kind not in GOLDEN:
        pytest.skip(f"nothing was written down on this kind of machine: {kind}")
    assert found[kernel][name] == GOLDEN[kind][kernel][name]


@dropouts
@kernels
def test_near_on_any_machine(found, kernel, name):
    """Processors add up in other orders, and twenty steps amplify it."""
    for written in GOLDEN.values():
        assert len(written[kernel][name]) == STEPS
        assert found[kernel][name] == pytest.approx(written[kernel][name], rel=1e-5)
        assert written[kernel][name][-1] < written[kernel][name][0] - 0.2, "nothing was learned"


@dropouts
@pytest.mark.parametrize("kernel", ["auto", "fused"])
def test_kernels_stay_near_the_equations(found, kernel, name):
    """1e-6 of each loss, over twenty steps (measured: 3.3e-7)."""
    assert found[kernel][name] == pytest.approx(found["reference"][name], rel=1e-6)
