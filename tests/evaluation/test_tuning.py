"""Settings chosen on a text: what is found costs no more than what was tried."""

import math

import numpy as np
import pytest
import torch
from reference.texts import english

from charlm.adaptation import CacheSettings, DynamicSettings
from charlm.evaluation import tuning
from charlm.evaluation.dynamic_rules import usual_rate
from charlm.evaluation.measure import measure, measure_windows
from charlm.evaluation.tuning import Tuning, descend
from charlm.registry import DYNAMIC_RULES
from evaluation.models import Text, model_of, tokenizer_of


@pytest.mark.parametrize(("least", "found"), [(1.0, 1.0), (7.9, 8.0), (0.26, 0.25), (1.3, 1.0)])
def test_descend_walks_to_the_least(least, found):
    assert descend(1.0, 2.0, lambda x: abs(math.log(x / least))) == pytest.approx(found)


def test_descend_stops_where_nothing_is_gained():
    tried = []
    assert descend(3.0, 2.0, lambda x: tried.append(x) or math.inf) == 3.0
    assert tried == [3.0, 6.0, 1.5]


def scaled(model, factor):
    """Logits so many times as large."""
    with torch.no_grad():
        model.decoder.weight *= factor
        model.decoder.bias *= factor
    return model


def test_temperature_divides_the_logits():
    tokenizer = tokenizer_of()
    text = Text(tokenizer, [english(2, seed=2) + "聞é", "x"])
    about = tokenizer, text.ids, text.documents, text.counts
    model = model_of(tokenizer, tie=False)
    found = measure(model, *about, temperature=2.5).nats
    windows = measure_windows(model, *about, 9, None, 1, temperature=2.5).nats
    usual = measure(model, *about).nats
    cooler = scaled(model, 1 / 2.5)
    assert measure(cooler, *about).nats == pytest.approx(found, rel=1e-9)
    assert measure_windows(cooler, *about, 9, None, 1).nats == pytest.approx(windows, rel=1e-9)
    assert abs(found - usual) > 1


def test_the_best_temperature_undoes_what_was_done_to_the_logits(monkeypatch):
    monkeypatch.setattr(tuning, "TEMPERATURE_STEP", 1.1)
    tokenizer = tokenizer_of()
    text = Text(tokenizer, [english(3, seed=2)])
    model = scaled(model_of(tokenizer, tie=False), 0.01)
    # Twice too sure of what is frequent: weights that know nothing are the better the flatter.
    shares = np.bincount(text.ids, minlength=tokenizer.vocabulary_size) + 0.5
    model.decoder.bias.data.copy_(2 * torch.from_numpy(np.log(shares / shares.sum())))
    first = Tuning(model, tokenizer, text.ids, text.documents, None).temperature()
    tripled = scaled(model, 3)
    then = Tuning(tripled, tokenizer, text.ids, text.documents, None).temperature()
    assert 1.5 < first < 2.5
    assert then == pytest.approx(3 * first, rel=0.11)


@pytest.mark.parametrize("rule", DYNAMIC_RULES)
def test_dynamic_settings_are_better_than_the_usual_ones(rule):
    tokenizer = tokenizer_of()
    text = Text(tokenizer, [english(3, seed=2), english(2, seed=3)])
    model = model_of(tokenizer, layers=1)
    before = [p.detach().clone() for p in model.parameters()]
    work = Tuning(model, tokenizer, text.ids, text.documents, None)
    usual = DynamicSettings(dynamic_rule=rule, dynamic_lr=usual_rate(rule))
    found = work.dynamic(DynamicSettings(dynamic_rule=rule))
    assert work._learning_nats(found) < work._learning_nats(usual)
    # These weights are random: much is to be learned, and fast.
    assert found.dynamic_lr > usual.dynamic_lr and found.dynamic_rule == rule
    assert found.dynamic_segment == usual.dynamic_segment
    assert all(map(torch.equal, model.parameters(), before))


def test_a_rate_at_which_the_model_breaks_is_not_taken():
    tokenizer = tokenizer_of()
    text = Text(tokenizer, [english(2, seed=2)])
    work = Tuning(model_of(tokenizer, layers=1), tokenizer, text.ids, text.documents, None)
    found = work.dynamic(DynamicSettings(dynamic_rule="sgd", dynamic_lr=1e4))
    assert found.dynamic_lr < 1e4
    assert np.isfinite(work._learning_nats(found))


def test_cache_settings_are_better_than_the_usual_ones_and_in_their_range():
    tokenizer = tokenizer_of()
    text = Text(tokenizer, [english(1, seed=2) * 12])
    work = Tuning(model_of(tokenizer, layers=1), tokenizer, text.ids, text.documents, None)
    found = work.cache(CacheSettings())
    assert work._cached_nats(found) < work._cached_nats(CacheSettings())
    assert 0.1 < found.cache_weight < 1
