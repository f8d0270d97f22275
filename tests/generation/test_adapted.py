"""Writing with a neural cache, and by weights that have learned from the prompt."""

import numpy as np
import pytest
from evaluation.models import model_of, tokenizer_of
from reference.language_model_numpy import float64_weights, logits, outputs
from reference.texts import english

from charlm.adaptation import CacheSettings
from charlm.generation.cached import CachedDecoder
from charlm.generation.decoder import Decoder
from charlm.generation.generate import generate, generate_many
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.model.cells.lstm import LSTM

TEXT = english(1, seed=2)[:40] + "聞é聞" + english(1, seed=3)[:30]
TOKENIZER = tokenizer_of()
MODEL = model_of(TOKENIZER)


def cached(**settings):
    weights = {n: p.detach().numpy().copy() for n, p in MODEL.named_parameters()}
    return CachedDecoder(Decoder(LSTM(), weights), TOKENIZER.grammar, CacheSettings(**settings))


def by_hand(ids, size, theta, weight):
    """log p (N, V) of what comes at each place, by the sum over all earlier places."""
    weights, grammar = float64_weights(MODEL), TOKENIZER.grammar
    before = [TOKENIZER.boundary_id, *ids[:-1]]
    h, state, found = outputs(weights, before), 0, []
    for t, y in enumerate(logits(weights, before)):
        q = np.where(grammar.legal[state], np.exp(y - y.max()), 0)
        q /= q.sum()
        chances = np.zeros_like(q)
        for i in range(max(0, t - size), t):
            if grammar.legal[state, ids[i]]:
                chances[ids[i]] += np.exp(theta * h[t] @ h[i])
        if chances.any():
            q = (1 - weight) * q + weight * chances / chances.sum()
        found.append(np.log(q, where=q > 0, out=np.full_like(q, -np.inf)))
        state = grammar.next_state[state, ids[t]]
    return np.array(found)


@pytest.mark.parametrize(
    ("size", "theta", "weight"), [(1000, 0.7, 0.2), (13, 2.0, 0.5), (1, 1.0, 0.9), (7, 3.0, 0.0)]
)
def test_it_expects_the_sum_over_all_earlier_places(size, theta, weight):
    ids = TOKENIZER.encode(TEXT).astype(int)
    decoder = cached(cache_size=size, cache_theta=theta, cache_weight=weight)
    state = decoder.advance([TOKENIZER.boundary_id], decoder.empty_state(1))
    found = []
    for token in ids:
        found.append(decoder.logits(state)[0])
        state = decoder.advance([token], state)
    wanted = by_hand(ids, size, theta, weight)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
    np.testing.assert_allclose(np.exp(found), np.exp(wanted), rtol=1e-9, atol=1e-300)


def test_streams_remember_their_own_moments():
    """Two side by side, as a beam has them, are what each is alone."""
    decoder = cached(cache_weight=0.5)
    texts = [TOKENIZER.encode("the lamp 聞x")[:9], TOKENIZER.encode("lamp lamp")]
    both = decoder.advance([TOKENIZER.boundary_id] * 2, decoder.empty_state(2))
    for pair in zip(*texts, strict=True):
        both = decoder.advance(pair, both)
    for row, ids in enumerate(texts):
        alone = decoder.empty_state(1)
        for token in (TOKENIZER.boundary_id, *ids):
            alone = decoder.advance([token], alone)
        np.testing.assert_allclose(decoder.logits(both)[row], decoder.logits(alone)[0], rtol=1e-9)


@pytest.mark.parametrize("beam", [None, 3])
def test_a_sample_is_itself_whatever_stands_beside(beam):
    sampling = SamplingSettings(beam=beam)
    settings = GenerationSettings(sampling=sampling, length=25, num_samples=2)
    decoder = cached(cache_weight=0.5)
    many = [p.sample for p in generate_many(decoder, TOKENIZER, ["the lamp"], settings) if p.sample]
    assert len(many) == 2 and many[0].text != many[1].text
    if beam is None:
        (*_, last) = generate(decoder, TOKENIZER, "the lamp", settings, 1)
        assert last.sample == many[1]
