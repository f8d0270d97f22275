"""Training computes what it computed when its losses were written down."""

import json

import pytest

from golden.make import FILE, RATES, STEPS, losses

GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize("kernel", ["auto", "fused"])
@pytest.mark.parametrize("name", RATES)
def test_twenty_losses_at_full_precision(name, kernel):
    """1e-5 relative: processors add up in other orders, and twenty steps amplify it."""
    assert len(GOLDEN[name]) == STEPS
    assert losses(kernel, RATES[name]) == pytest.approx(GOLDEN[name], rel=1e-5)
    assert GOLDEN[name][-1] < GOLDEN[name][0] - 0.2, "nothing was learned"
