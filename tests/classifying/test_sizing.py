"""What `auto` becomes for a classifier."""

import pytest

from charlm.classifier_settings import ClassifierConfig
from charlm.classifying import sizing
from charlm.classifying.planning import language_model_config


@pytest.mark.parametrize(
    ("optimizer", "hidden", "wanted"),
    [("adamw", 512, 0.0039), ("adamw", 128, 0.016), ("adam", 16, 0.02), ("sgd", 512, 0.5)],
)
def test_the_rate_falls_with_the_hidden_units(optimizer, hidden, wanted):
    found = sizing.rate(optimizer, hidden)
    assert (found.key, found.value) == ("optimisation.lr", wanted)


def test_two_language_models_share_the_time_of_one():
    config = ClassifierConfig().with_values({"budget.minutes": 10.0, "classifier.lm_lr": 0.01})
    two = config.with_values({"model.init_from": "a", "classifier.backward": "b"})
    alone = language_model_config(config, "a", "forward").budget.minutes
    each = language_model_config(two, "a", "forward").budget.minutes
    assert 0 < 2 * each == alone < 10
