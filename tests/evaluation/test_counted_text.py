"""A text, its lines and what is written, by a model with counts beside it: one and the same."""

import numpy as np
import pytest
from reference.texts import english

from charlm.adaptation import CacheSettings
from charlm.evaluation.counted_text import CountedText
from charlm.evaluation.measure import measure, measure_counted
from charlm.evaluation.measure_adapting import measure_cached
from charlm.evaluation.scoring import LineScorer
from charlm.generation.cached import CachedDecoder
from charlm.generation.counted import CountedDecoder
from charlm.generation.decoder import Decoder
from charlm.model.cells.lstm import LSTM
from charlm.model.count_mixture import CountMixture
from charlm.model.kneser_ney import KneserNey
from charlm.text.direction import BACKWARD, FORWARD, reversal
from evaluation.models import Text, model_of, tokenizer_of

DOCUMENTS = [english(2, seed=2) + "聞é聞", "x", english(1, seed=3)]
LINES = [*english(4, seed=8).splitlines(keepends=True), "聞é\n", "\n", "The old lamp"]


def mixture_of(tokenizer, order=4):
    text = Text(tokenizer, [english(6, seed=5) + "聞é聞"])
    grammar = tokenizer.grammar
    about = grammar.states(text.ids), text.documents, grammar.legal, tokenizer.boundary_id
    counts = KneserNey.count(text.ids, *about, order)
    return CountMixture(counts, np.random.default_rng(3).dirichlet([1, 1, 1], counts.kinds).T)


def by_hand(mixture, tokenizer, model, ids):
    """-log p of a document's tokens, each by the whole distribution of the counts."""
    (line,) = LineScorer(model, tokenizer, False).score([tokenizer.decode(ids)])
    static = line.token_bits * np.log(2)
    found, states = [], tokenizer.grammar.states(ids)
    for t, token in enumerate(ids):
        before = np.array([tokenizer.boundary_id, *ids[:t]])
        p, kind = mixture.counts.distribution(before, int(states[t]))
        says = [np.exp(-static[t]), *p[:, token]]
        found.append(-np.log(mixture.weights[:, kind] @ says))
    return np.array(found)


def test_documents_are_the_sum_of_their_tokens():
    """In the pieces in which the network reads them, and one by one."""
    tokenizer = tokenizer_of()
    model, mixture = model_of(tokenizer), mixture_of(tokenizer)
    text = Text(tokenizer, DOCUMENTS)
    about = model, tokenizer, text.ids, text.documents, text.counts
    static, mixed = measure_counted(*about, [mixture])
    assert static.nats == pytest.approx(measure(*about).nats, rel=1e-12)
    parts = np.split(text.ids, text.documents[1:])
    wanted = [by_hand(mixture, tokenizer, model, ids) for ids in parts]
    assert mixed.nats == pytest.approx(sum(map(np.sum, wanted)), rel=1e-6)
    assert mixed.nats != static.nats


@pytest.mark.parametrize("length", [1, 7, 100, 10_000])
def test_any_parts_of_a_text_are_the_text(length):
    tokenizer = tokenizer_of()
    mixture, text = mixture_of(tokenizer), Text(tokenizer, DOCUMENTS)
    about = tokenizer.grammar, tokenizer.boundary_id, text.ids, text.documents
    nats = np.random.default_rng(1).gamma(1.0, 1.0, len(text.ids))
    whole = CountedText(*about).mixed([mixture], 0, nats)
    parts = [
        CountedText(*about).mixed([mixture], begin, nats[begin : begin + length])
        for begin in range(0, len(nats), length)
    ]
    np.testing.assert_allclose(np.concatenate(parts), whole)
    # Of two mixtures each has its half.
    other = CountMixture(mixture.counts, mixture.weights[::-1])
    both = [
        CountedText(*about).mixed([mixture, other], begin, nats[begin : begin + length])
        for begin in range(0, len(nats), length)
    ]
    middle, second = len(nats) // 2, CountedText(*about).mixed([other], 0, nats)
    np.testing.assert_allclose(np.concatenate(both), [*whole[:middle], *second[middle:]])


def test_a_cache_has_counts_beside_it_too():
    tokenizer = tokenizer_of()
    model, mixture = model_of(tokenizer), mixture_of(tokenizer)
    text = Text(tokenizer, DOCUMENTS)
    about = model, tokenizer, text.ids, text.documents, text.counts
    static = measure_counted(*about, [mixture])
    none = measure_cached(*about, CacheSettings(cache_weight=0), lambda said: None, [mixture])
    assert [f.nats for f in none] == pytest.approx([f.nats for f in static], rel=1e-9)
    some = measure_cached(*about, CacheSettings(cache_weight=0.5), lambda said: None, [mixture])
    (alone,) = measure_cached(*about, CacheSettings(cache_weight=0.5), lambda said: None)
    assert some[0].nats == alone.nats and some[1].nats not in (alone.nats, static[1].nats)


def mixed_bits(model, tokenizer, lines, **how):
    scorer = LineScorer(model, tokenizer, mixture=mixture_of(tokenizer), **how)
    return [line.beside["counts"].token_bits for line in scorer.score(lines)]


def test_lines_are_documents_or_all_of_them_one():
    tokenizer = tokenizer_of()
    model, mixture = model_of(tokenizer), mixture_of(tokenizer)
    for carry_state, documents in ((False, LINES), (True, ["".join(LINES)])):
        found = mixed_bits(model, tokenizer, LINES, carry_state=carry_state)
        parts = [tokenizer.encode(document) for document in documents]
        wanted = [by_hand(mixture, tokenizer, model, ids) / np.log(2) for ids in parts]
        np.testing.assert_allclose(np.concatenate(found), np.concatenate(wanted), rtol=1e-6)


def test_a_backward_model_has_counts_of_what_comes_after():
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    backward = mixed_bits(model, tokenizer, LINES, carry_state=False, direction=BACKWARD)
    orders = [reversal(tokenizer.encode(line), tokenizer.grammar) for line in LINES]
    turned = [
        tokenizer.decode(tokenizer.encode(line)[order])
        for line, order in zip(LINES, orders, strict=True)
    ]
    forward = mixed_bits(model, tokenizer, turned, carry_state=False, direction=FORWARD)
    for found, other, order in zip(backward, forward, orders, strict=True):
        np.testing.assert_allclose(found[order], other, rtol=1e-9)


@pytest.mark.parametrize("cache", [None, CacheSettings(cache_weight=0.4)])
def test_what_is_written_is_drawn_from_what_is_measured(cache):
    """Two streams side by side, each of its own tokens; nothing is spelled, where a floor is."""
    tokenizer = tokenizer_of()
    model, mixture = model_of(tokenizer), mixture_of(tokenizer)
    weights = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    plain = Decoder(LSTM(), weights)
    inner = CachedDecoder(plain, tokenizer.grammar, cache) if cache else plain
    decoder = CountedDecoder(inner, tokenizer.grammar, mixture)
    texts = [tokenizer.encode("the old lamp"), tokenizer.encode("lamp the old")]
    state = decoder.advance([tokenizer.boundary_id] * 2, decoder.empty_state(2))
    found = []
    for pair in zip(*texts, strict=True):
        expected = decoder.logits(state)
        np.testing.assert_allclose(np.exp(expected).sum(axis=1), 1, rtol=1e-5)
        found.append([-expected[row, token] for row, token in enumerate(pair)])
        state = decoder.advance(pair, state)
    spelled = decoder.advance(tokenizer.encode("聞")[:1].repeat(2), state)
    np.testing.assert_allclose(np.exp(decoder.logits(spelled)).sum(axis=1), 1, rtol=1e-5)
    for row, ids in enumerate(texts):
        if cache is None:
            wanted = by_hand(mixture, tokenizer, model, ids).sum()
        else:
            text = Text(tokenizer, [tokenizer.decode(ids)])
            about = model, tokenizer, text.ids, text.documents, text.counts
            wanted = measure_cached(*about, cache, lambda said: None, [mixture])[1].nats
        assert np.sum(np.array(found)[:, row]) == pytest.approx(wanted, rel=1e-4)
