"""How fast the weights of a classifier learn."""

import pytest
import torch

from charlm.draws import Draws
from charlm.model.classifier import ClassifierArchitecture
from charlm.model.language_model import Architecture
from charlm.training.classifier_rates import REFERENCE_INPUTS, rate_factors
from charlm.training.optimizers import adamw

LR = 0.005


def network(hidden, **more):
    a = Architecture(5, "lstm", 1, hidden, 3, False)
    return ClassifierArchitecture(a, 4, **more).build().initialise("default", Draws(1, 0))


@pytest.mark.parametrize("heads", (1, 2))
@pytest.mark.parametrize("head_size", (None, 6))
@pytest.mark.parametrize("hidden", (7, 900, 2000))
def test_a_step_moves_what_a_head_makes_of_its_inputs_no_further_for_more_of_them(
    hidden, head_size, heads
):
    """By eta (n |x| + 1), the 1 from the bias, with n inputs of size |x|, and 1,500 at most."""
    model = network(hidden, head_size=head_size, encoders=2, heads=heads)
    factors = rate_factors(model, 1.5)
    named = [(n, weight) for n, weight in model.named_parameters() if n in factors]
    optimizer = adamw(named, LR, 0.0, factors.__getitem__)
    for group in optimizer.param_groups:
        group["lr"] = LR * group["factor"]
    head = model.heads[0]
    layer = head.output if head_size is None else head.hidden
    n = layer.in_features
    assert n == 3 * hidden * (2 // heads)
    x = torch.ones(1, n)
    with torch.no_grad():
        before = layer(x)
    layer(x).sum().backward()
    optimizer.step()
    with torch.no_grad():
        moved = float((layer(x) - before).abs().max())
    assert moved == pytest.approx(LR * (min(n, REFERENCE_INPUTS) + 1), rel=1e-3)


def test_layers_below_learn_more_slowly_and_few_inputs_change_nothing():
    model = network(7, head_size=6)
    found = rate_factors(model, 2.0)
    assert set(found) == {name for group in model.layer_groups() for name in group}
    by_part = {name.split(".")[0] + name.split(".")[2]: factor for name, factor in found.items()}
    assert by_part == {
        "headshidden": 1, "headsoutput": 1, "encoderslayers": 0.5, "encodersembedding": 0.25,
    }  # fmt: skip
