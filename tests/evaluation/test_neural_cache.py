"""The neural cache, against the sum over all earlier places in plain loops."""

import numpy as np
import pytest
import torch
from reference.language_model_numpy import float64_weights, outputs, token_nats
from reference.texts import english

from charlm.adaptation import CacheSettings
from charlm.evaluation import neural_cache
from charlm.evaluation.measure import measure
from charlm.evaluation.neural_cache import CachedReading
from evaluation.models import Text, model_of, tokenizer_of

DOCUMENTS = [english(2, seed=2) + "聞é聞", "x", english(1, seed=3)]


def read(model, tokenizer, text, **settings):
    chosen = CacheSettings(**{f"cache_{name}": value for name, value in settings.items()})
    reading = CachedReading(model, tokenizer, chosen)
    return np.concatenate(list(reading.read(text.ids, text.documents)))


def by_hand(model, tokenizer, text, size, theta, weight):
    weights, grammar = float64_weights(model), tokenizer.grammar
    found = []
    for ids in np.split(text.ids, text.documents[1:]):
        nats = token_nats(weights, grammar, ids, tokenizer.boundary_id)
        h = outputs(weights, [tokenizer.boundary_id, *ids[:-1]])
        state = 0
        for t, token in enumerate(ids):
            chances = {}
            for i in range(max(0, t - size), t):
                if grammar.legal[state, ids[i]]:
                    chances[ids[i]] = chances.get(ids[i], 0) + np.exp(theta * h[t] @ h[i])
            p = np.exp(-nats[t])
            if chances:
                p = (1 - weight) * p + weight * chances.get(token, 0) / sum(chances.values())
            found.append(-np.log(p))
            state = grammar.next_state[state, token]
    return np.array(found)


@pytest.mark.parametrize("kind", ["char", "byte"])
@pytest.mark.parametrize(
    ("size", "theta", "weight"),
    [(1000, 0.7, 0.2), (13, 2.0, 0.5), (1, 1.0, 0.9), (40, 0.0, 0.3), (7, 3.0, 0.0)],
)
@pytest.mark.parametrize(("segment", "scores"), [(512, 2**22), (9, 2**22), (20, 60), (20, 1)])
def test_it_is_the_sum_over_all_earlier_places(
    monkeypatch, kind, size, theta, weight, segment, scores
):
    """In any blocks, rows of one included."""
    monkeypatch.setattr(neural_cache, "SEGMENT", segment)
    monkeypatch.setattr(neural_cache, "_MOST_SCORES", scores)
    tokenizer = tokenizer_of(kind)
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    wanted = by_hand(model, tokenizer, text, size, theta, weight)
    found = read(model, tokenizer, text, size=size, theta=theta, weight=weight)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("place", [0, 1, 9, 10, 12, 13, 15])
def test_chances_at_a_place_add_up_to_one_over_what_is_legal(place):
    """Within a spelled character too, of which the cache has seen another one."""
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    ids = tokenizer.encode("the 聞 the 聲 lamp")[: place + 1]
    state = tokenizer.grammar.state_before(ids, place)
    total = 0.0
    for token in np.flatnonzero(tokenizer.grammar.legal[state]):
        text = Text(tokenizer, ["x"])
        text.ids = np.array([*ids[:place], token])
        total += np.exp(-read(model, tokenizer, text, weight=0.6)[place])
    assert total == pytest.approx(1, rel=1e-9)


def test_a_weight_of_nothing_is_the_static_figure():
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    static = measure(model, tokenizer, text.ids, text.documents, text.counts).nats
    assert read(model, tokenizer, text, weight=0).sum() == pytest.approx(static, rel=1e-9)


def test_a_text_that_repeats_itself_becomes_cheap():
    tokenizer = tokenizer_of()
    model = model_of(tokenizer, dtype=torch.float32)
    text = Text(tokenizer, [english(1, seed=3) * 12])
    static = measure(model, tokenizer, text.ids, text.documents, text.counts).nats
    assert read(model, tokenizer, text, theta=5, weight=0.5).sum() < 0.8 * static
    assert read(model, tokenizer, text).sum() < static


def test_a_document_begins_with_an_empty_cache():
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    first, second = english(1, seed=3), english(1, seed=4)
    both = read(model, tokenizer, Text(tokenizer, [first, second]))
    alone = read(model, tokenizer, Text(tokenizer, [second]))
    np.testing.assert_allclose(both[len(first) :], alone, rtol=1e-12)


@pytest.mark.parametrize("theta", [100.0, 1e4])
def test_no_theta_is_too_sharp(theta):
    """In fp32, where the exponentials of such scores are infinite by themselves."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    wanted = read(model, tokenizer, text, theta=theta)
    found = read(model.float(), tokenizer, text, theta=theta)
    assert np.isfinite(wanted).all() and np.isfinite(found).all()
