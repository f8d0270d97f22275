"""What `auto` becomes for a classifier."""

import pytest

from charlm.classifying import sizing


@pytest.mark.parametrize(
    ("optimizer", "hidden", "wanted"),
    [("adamw", 512, 0.0039), ("adamw", 128, 0.016), ("adam", 16, 0.02), ("sgd", 512, 0.5)],
)
def test_the_rate_falls_with_the_hidden_units(optimizer, hidden, wanted):
    found = sizing.rate(optimizer, hidden)
    assert (found.key, found.value) == ("optimisation.lr", wanted)
