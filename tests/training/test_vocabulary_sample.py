"""A softmax over some of the vocabulary against its equation, and where its loss is least."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.losses import V, assert_same_with_gradients, legal_by_state, legal_of, places

from charlm.training.loss import cross_entropy
from charlm.training.vocabulary_sample import VocabularySample, inclusion

CPU = torch.device("cpu")


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=50),
    st.integers(1, 60),
    st.data(),
)
def test_as_many_tokens_as_asked_are_expected(counts, size, data):
    always = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts)))
    )
    r = inclusion(np.array(counts), always, size)
    assert (r > 0).all() and (r <= 1).all() and (r[always] == 1).all()
    assert r[~always].sum() == pytest.approx(min(size, (~always).sum()), abs=1e-6)
    free = np.flatnonzero(~always)
    by_count = free[np.argsort(np.array(counts)[free], kind="stable")]
    assert (np.diff(r[by_count]) >= -1e-12).all(), "a rarer token comes more often"


def by_equation(model, outputs, targets, states, drawn, r):
    """-log exp(y_t - log r_t) / sum over D + {t}, place by place, of what is legal there."""
    y = model.logits(outputs.flatten(0, 1)) - torch.tensor(np.log(r))
    costs = []
    for row, target, state in zip(y, targets.flatten().tolist(), states.ravel(), strict=True):
        there = sorted({*drawn, target} & set(np.flatnonzero(legal_by_state()[state]).tolist()))
        costs.append(torch.logsumexp(row[there], 0) - row[target])
    return torch.stack(costs).mean()


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied, projected"])
@pytest.mark.parametrize("drawn", [[], [0, 3, 4, 9], list(range(V))], ids=["none", "some", "all"])
def test_loss_and_gradients_are_those_of_the_equation(tied, drawn):
    targets, states = places()
    r = np.float32(np.random.default_rng(5).uniform(0.1, 1, V)).astype(np.float64)
    sample = VocabularySample(r, 1, CPU)
    sample._cost = sample._cost.double()

    def narrowed(choice):
        return sample.among(choice, torch.tensor(drawn, dtype=torch.long))

    assert_same_with_gradients(
        lambda model, outputs: cross_entropy(model, outputs, targets, legal_of(), states, narrowed),
        lambda model, outputs: by_equation(model, outputs, targets, states, drawn, r),
        tied,
        atol=1e-6,
    )


def test_it_is_least_where_the_whole_softmax_is():
    """Over all samples and all targets, each with its probability, the gradient with respect to
    the logits is zero where softmax(y) is what targets are drawn from."""
    p, r = np.array([0.5, 0.3, 0.15, 0.05]), np.array([1.0, 0.6, 0.3, 0.2])
    y = torch.tensor(np.log(p), requires_grad=True)
    corrected = y - torch.tensor(np.log(r))
    expected = torch.zeros((), dtype=torch.float64)
    for flags in product([False, True], repeat=4):
        drawn = np.array(flags)
        chance = np.where(drawn, r, 1 - r).prod()
        for target in range(4):
            there = sorted({*np.flatnonzero(drawn).tolist(), target})
            cost = torch.logsumexp(corrected[there], 0) - corrected[target]
            expected = expected + chance * p[target] * cost
    expected.backward()
    torch.testing.assert_close(y.grad, torch.zeros_like(y), rtol=0, atol=1e-12)


def test_a_token_is_drawn_as_often_as_it_should_and_the_same_again():
    r = np.array([1.0, 0.7, 0.2, 1e-12])
    sample = VocabularySample(r, 5, CPU)
    times = np.zeros(4)
    for step in range(2000):
        times[sample.at(step).numpy()] += 1
    np.testing.assert_allclose(times / 2000, r, atol=0.04)
    assert sample.at(7).tolist() == VocabularySample(r, 5, CPU).at(7).tolist()
    assert any(
        sample.at(k).tolist() != VocabularySample(r, 6, CPU).at(k).tolist() for k in range(9)
    )
