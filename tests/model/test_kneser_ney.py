"""Counts of n-grams, against the equations in plain dictionaries; mixtures against brute force."""

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from evaluation.models import tokenizer_of
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.texts import english

from charlm.model.count_mixture import CountMixture
from charlm.model.kneser_ney import KINDS, KneserNey, discounts_of

DOCUMENTS = [english(3, seed=2) + "聞é聞", "x", english(2, seed=3), "聞"]
OTHER = [english(1, seed=4) + "聞é聲", "zy聞"]


class ByHand:
    """Every count in a dictionary, by the tuple of a state and of what is before."""

    def __init__(self, grammar, boundary, documents, order):
        self.grammar, self.boundary, self.order = grammar, boundary, order
        raw = defaultdict(lambda: defaultdict(int))
        preceded = defaultdict(lambda: defaultdict(set))
        begins = defaultdict(lambda: defaultdict(int))
        for ids in documents:
            for t, token in enumerate(ids):
                state, before = self.at(ids, t)
                for k in range(min(order - 1, len(before)) + 1):
                    h = (state, *before[len(before) - k :])
                    raw[h][token] += 1
                    if k == len(before):
                        begins[h][token] += 1
                    else:
                        preceded[h][token].add(before[len(before) - k - 1])
        self.c = {}
        for h, followers in raw.items():
            if len(h) == order:
                self.c[h] = dict(followers)
                continue
            self.c[h] = {v: len(preceded[h][v]) + begins[h][v] for v in followers}
        self.D = {}
        for k in range(1, order + 1):
            counts = [n for h, f in self.c.items() if len(h) == k for n in f.values()]
            self.D[k] = self.discounts(counts)

    def at(self, ids, t):
        state = 0
        for token in ids[:t]:
            state = int(self.grammar.next_state[state, token])
        return state, (self.boundary, *ids[:t])

    @staticmethod
    def discounts(counts):
        n = [sum(c == i for c in counts) for i in range(5)]
        found = [0.0]
        for i in (1, 2, 3):
            if n[1] and n[2] and n[i]:
                Y = n[1] / (n[1] + 2 * n[2])
                found.append(min(max(i - (i + 1) * Y * n[i + 1] / n[i], 0.05), i - 0.05))
            else:
                found.append(max(found[-1], 0.5))
        return found

    def p(self, ids, t):
        """p and followers (2, V), and the kind."""
        state, before = self.at(ids, t)
        legal = self.grammar.legal[state]
        p, kind = legal / legal.sum(), 0
        top = p
        for k in range(min(self.order - 1, len(before)) + 1):
            followers = self.c.get((state, *before[len(before) - k :]))
            if followers is None:
                break
            D, total = self.D[k + 1], sum(followers.values())
            p = p * sum(D[min(c, 3)] for c in followers.values()) / total
            top = np.zeros(len(p))
            for v, c in followers.items():
                p[v] += (c - D[min(c, 3)]) / total
                top[v] = (c - D[min(c, 3)]) / sum(c - D[min(c, 3)] for c in followers.values())
            size = min(int(math.log2(total)), KINDS // 2 - 1)
            kind = 1 + k * KINDS + 2 * size + (len(followers) > 1)
        return np.stack([p, top]), kind


def text_of(tokenizer, documents):
    parts = [tokenizer.encode(document) for document in documents]
    return np.concatenate(parts), np.cumsum([0, *map(len, parts[:-1])])


def counted(tokenizer, order, documents=DOCUMENTS):
    ids, begins = text_of(tokenizer, documents)
    grammar = tokenizer.grammar
    about = ids, grammar.states(ids), begins, grammar.legal, tokenizer.boundary_id
    return KneserNey.count(*about, order)


OFTEN = ["thee " * 300 + "then thee " * 100, "thee " * 10]  # the longest are read often


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
@pytest.mark.parametrize(
    ("order", "documents", "others"),
    [
        *((order, DOCUMENTS, OTHER) for order in (1, 2, 3, 6)),
        *((order, OFTEN, [OFTEN[0][900:1000]]) for order in (15, 16, 17, 32)),
    ],
)
def test_it_is_the_equations(kind, order, documents, others):
    tokenizer = tokenizer_of(kind)
    parts = [tokenizer.encode(document).tolist() for document in documents]
    hand = ByHand(tokenizer.grammar, tokenizer.boundary_id, parts, order)
    counts = counted(tokenizer, order, documents)
    assert counts.order == order
    for document in others:
        ids = tokenizer.encode(document)
        states = tokenizer.grammar.states(ids)
        p, kinds = counts.chances(ids, states, np.array([tokenizer.boundary_id]))
        for t in range(0, len(ids), 3):
            wanted, wanted_kind = hand.p(ids.tolist(), t)
            np.testing.assert_allclose(p[:, t], wanted[:, ids[t]], rtol=1e-5)
            assert kinds[t] == wanted_kind < counts.kinds
            before = np.array([tokenizer.boundary_id, *ids[:t]])
            whole, of_kind = counts.distribution(before, int(states[t]))
            np.testing.assert_allclose(whole, wanted, rtol=1e-5)
            assert of_kind == wanted_kind


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
def test_what_is_legal_has_all_of_it_wherever_one_is(kind):
    tokenizer = tokenizer_of(kind)
    counts = counted(tokenizer, 4)
    ids, _ = text_of(tokenizer, OTHER)
    for t, state in enumerate(tokenizer.grammar.states(ids)):
        p, _ = counts.distribution(np.array([tokenizer.boundary_id, *ids[:t]]), int(state))
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert (p[0, tokenizer.grammar.legal[state]] > 0).all()
        assert not p[:, ~tokenizer.grammar.legal[state]].any()


@given(st.data())
@settings(max_examples=30)
def test_a_text_costs_the_same_in_any_parts(data):
    tokenizer = tokenizer_of()
    counts = counted(tokenizer, 4)
    ids = tokenizer.encode(OTHER[0])
    states, boundary = tokenizer.grammar.states(ids), np.array([tokenizer.boundary_id])
    whole = counts.chances(ids, states, boundary)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(ids) - 1), max_size=6)))
    for a, b in pairwise([0, *cuts, len(ids)]):
        before = np.concatenate([boundary, ids])[: a + 1]
        kept = data.draw(st.integers(3, max(3, len(before))))
        part = counts.chances(ids[a:b], states[a:b], before[-kept:])
        for one, other in zip(part, whole, strict=True):
            np.testing.assert_allclose(one, other[..., a:b])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_discounts_leave_something_and_take_no_more_than_there_is(counts):
    D = discounts_of(np.array(counts))
    np.testing.assert_allclose(D, ByHand.discounts(counts))
    assert D[0] == 0 and all(0 < d < i for i, d in enumerate(D) if i)


def test_states_are_those_read_one_by_one():
    tokenizer = tokenizer_of()
    ids = tokenizer.encode("a聞b聲聲c" * 700)
    grammar = tokenizer.grammar
    wanted, _ = grammar.run(np.zeros(1), ids[:, None])
    np.testing.assert_array_equal(grammar.states(ids), wanted[:, 0])
    assert len(set(wanted[:, 0].tolist())) > 1
    for cut in (1, 2, 3):
        rest = grammar.states(ids[cut:], int(wanted[cut, 0]))
        np.testing.assert_array_equal(rest, wanted[cut:, 0])


def test_the_weights_are_those_of_the_least_cost():
    """But for caution: kinds that were met often, against all weights in steps of 0.05."""
    counts = counted(tokenizer_of(), 3)
    draws = np.random.default_rng(1)
    kinds = draws.integers(0, 3, 6000)
    nats, chances = draws.gamma(1.0, 1.0, 6000), np.exp(-draws.gamma(1.0, 1.0, (2, 6000)))
    chances[0, kinds == 1] **= 4  # counts that know little there
    chances[1, kinds == 2] = 0
    found = CountMixture.learned(counts, nats, chances, kinds)
    np.testing.assert_allclose(found.weights.sum(axis=0), 1)
    for kind in range(3):
        here = kinds == kind
        says = np.stack([np.exp(-nats[here]), *chances[:, here]])
        tried = {
            (1 - a - b, a, b): -np.log(np.array([1 - a - b, a, b]) @ says).sum()
            for a in np.arange(0.0, 1, 0.05)
            for b in np.arange(0.0, 1 - a, 0.05)
        }
        wanted = min(tried, key=tried.__getitem__)
        np.testing.assert_allclose(found.weights[:, kind], wanted, atol=0.04)
    assert found.weights[1, 1] < found.weights[1, 0] - 0.2
    # A kind that was never met has what all have together.
    np.testing.assert_allclose(found.weights[:, 5], found.weights[:, :3].mean(axis=1), atol=0.03)


@pytest.mark.parametrize("nats", [0.0, 1e-9, 700.0, 1e5])
def test_no_network_is_too_sure(nats):
    tokenizer = tokenizer_of()
    counts = counted(tokenizer, 3)
    ids = tokenizer.encode(OTHER[0])
    states, before = tokenizer.grammar.states(ids), np.array([tokenizer.boundary_id])
    chances, kinds = counts.chances(ids, states, before)
    mixture = CountMixture.learned(counts, np.full(len(ids), nats), chances, kinds)
    assert ((mixture.weights > 0) & (mixture.weights < 1)).all()
    assert np.isfinite(mixture.nats(np.full(len(ids), nats), ids, states, before)).all()


def test_a_mixture_is_the_weighted_sum():
    tokenizer = tokenizer_of()
    counts = counted(tokenizer, 3)
    weights = np.random.default_rng(3).dirichlet([1, 1, 1], counts.kinds).T
    mixture = CountMixture(counts, weights)
    ids = tokenizer.encode(OTHER[0])
    states, before = tokenizer.grammar.states(ids), np.array([tokenizer.boundary_id])
    chances, kinds = counts.chances(ids, states, before)
    nats = np.random.default_rng(2).gamma(1.0, 1.0, len(ids))
    wanted = (weights[:, kinds] * np.stack([np.exp(-nats), *chances])).sum(axis=0)
    np.testing.assert_allclose(np.exp(-mixture.nats(nats, ids, states, before)), wanted)
    expected = np.where(tokenizer.grammar.legal[0], 0.0, -np.inf)
    expected -= np.log(np.exp(expected).sum())
    whole = np.exp(mixture.log_probabilities(expected, before, 0))
    p, kind = counts.distribution(before, 0)
    np.testing.assert_allclose(whole, weights[:, kind] @ np.stack([np.exp(expected), *p]))
    assert whole.sum() == pytest.approx(1, rel=1e-5)
