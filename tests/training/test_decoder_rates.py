"""The layer onto the vocabulary learns at a rate of its own, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

import charlm
from charlm.config_model import Model
from charlm.model.cells.base import make_cell
from charlm.model.language_model import Architecture
from charlm.runs.export import read_model
from charlm.training.decoder_rates import FASTER, decoder_factors, usual_factor


def test_adam_takes_larger_steps_there_and_plain_descent_does_not():
    untied = Model(tie_weights=False, hidden_size=6, embedding_size=6)
    for optimizer, name, model, wanted in (
        ("adamw", "gru", untied, FASTER),
        ("sgd", "gru", untied, 1.0),
        ("adamw", "rnn", untied, 1.0),
        ("adamw", "gru", replace(untied, init_from="RUN"), 1.0),
        ("adamw", "gru", replace(untied, tie_weights=True), 1.0),
        ("adamw", "gru", replace(untied, tie_weights=True, embedding_size=5), FASTER),
        ("adamw", "gru", replace(untied, tie_weights=True, last_hidden_size=5), FASTER),
    ):
        assert usual_factor(optimizer, model, make_cell(name))[0] == wanted


@pytest.mark.parametrize(
    ("architecture", "faster"),
    [
        (Architecture(20, "lstm", 2, 6, 5, False), {"decoder.weight"}),
        (Architecture(20, "gru", 1, 6, 5, True), {"projection.weight"}),
        (Architecture(20, "gru", 1, 6, 6, True), set()),
        (
            Architecture(20, "lstm", 1, 6, 5, False, softmax="adaptive", cutoffs=(8,)),
            {"decoder.head.weight", "decoder.tail.0.0.weight", "decoder.tail.0.1.weight"},
        ),
    ],
    ids=["full", "tied", "tied, of one size", "adaptive"],
)
def test_its_matrices_alone_learn_faster(architecture, faster):
    factor = decoder_factors(3.0)
    names = [name for name, p in architecture.build().named_parameters() if p.requires_grad]
    assert {name for name in names if factor(name) == 3.0} == faster
    assert {factor(name) for name in set(names) - faster} == {1.0}


def test_the_first_step_is_as_long_as_it_should_be(tmp_path):
    """Adam's first step is the rate itself, whatever the gradient: of W at its own, of all else at
    --lr."""
    text = tmp_path / "text.txt"
    text.write_text("a line of some letters\nanother one, and more of them\n" * 40)
    size = {"layers": 1, "hidden_size": 8, "embedding_size": 4, "ngram_order": 1, "threads": 1}
    rates = {
        "lr": 1e-3,
        "decoder_lr_factor": 10.0,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "dropout": 0.0,
    }
    weights = []
    for steps in (1, 2):
        charlm.train(
            [text], tmp_path / f"{steps}", steps=steps, schedule="constant", precision="fp32",
            **size, **rates,
        )  # fmt: skip
        weights.append(read_model(tmp_path / f"{steps}").weights)
    for name, rate in (("decoder.weight", 1e-2), ("layers.0.weight_hh", 1e-3)):
        moved = np.abs(weights[1][name] - weights[0][name])
        moved = moved[moved > 0]  # a letter that the text has not learns nothing
        assert 0.3 * rate < np.median(moved) < 1.5 * rate
