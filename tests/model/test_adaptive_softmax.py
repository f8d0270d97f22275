"""The adaptive softmax against torch's own, and over what is legal at a place."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from charlm.draws import Draws
from charlm.evaluation.target_nats import TargetNats
from charlm.model.cluster_ranks import cluster_size, clusters_for, cutoffs_of, ranked, unusual
from charlm.model.language_model import Architecture, LanguageModel
from charlm.model.legal import LegalTokens
from charlm.text.tokenizers.base import Grammar
from charlm.training import loss as loss_module
from charlm.training.checkpointing import weights_of
from charlm.training.loss import cross_entropy

T, B, E, H, V = 3, 4, 5, 17, 23
CUTOFFS = (6, 11)
ARCHITECTURE = Architecture(V, "gru", 1, H, E, False, softmax="adaptive", cutoffs=CUTOFFS)
EVERYTHING = np.ones((1, V), np.bool_)


def model_of(dtype=torch.float64, order=None):
    """With large weights; `order`: the tokens from the first rank on."""
    model = LanguageModel(ARCHITECTURE).initialise("default", Draws(1, 0)).to(dtype)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.5)
        if order is not None:
            model.decoder.ranks[torch.as_tensor(order)] = torch.arange(V).to(dtype)
    return model


def outputs_of(dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(T, B, H, generator=generator, dtype=torch.float64).to(dtype)


def torchs_own(model):
    """torch.nn's layer with the same weights."""
    own = nn.AdaptiveLogSoftmaxWithLoss(H, V, list(CUTOFFS), head_bias=True).double()
    weights = {n: p for n, p in model.decoder.state_dict().items() if n != "ranks"}
    own.load_state_dict(weights)  # strict: every name and shape
    return own


def legal_of(legal):
    return LegalTokens(legal, torch.device("cpu"))


SHUFFLED = np.random.default_rng(5).permutation(V)


@pytest.mark.parametrize("order", [None, SHUFFLED], ids=["as they come", "shuffled"])
@pytest.mark.parametrize("chunk", [1, 40, 10**6], ids=["a place", "some", "all"])
def test_it_is_the_layer_of_torch(order, chunk, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", chunk)
    monkeypatch.setattr(loss_module, "FEWEST_PLACES", 1)
    model, outputs = model_of(order=order), outputs_of()
    own = torchs_own(model)
    targets = torch.from_numpy(np.random.default_rng(4).integers(0, V, (T, B)))
    places = model.decoder.ranks[targets].long()
    ours, theirs = (outputs.clone().requires_grad_() for _ in range(2))
    wanted = own(theirs.flatten(0, 1), places.flatten()).loss
    found = cross_entropy(model, ours, targets, legal_of(EVERYTHING), np.zeros((T, B), np.uint8))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    wanted.backward()
    found.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12)
    for name, p in own.named_parameters():
        grad = model.decoder.get_parameter(name).grad
        torch.testing.assert_close(grad, p.grad, rtol=0, atol=1e-12, msg=name)
    log_p = model.logits(outputs).log_softmax(dim=-1)
    by_rank = own.log_prob(outputs.flatten(0, 1)).view(T, B, V)
    every = model.decoder.ranks.long()
    torch.testing.assert_close(log_p, by_rank[..., every], rtol=0, atol=1e-12)


def spelling():
    """In state 1 the tokens 3, 9 and 20 are legal and no others; in state 0 all the others are."""
    legal = np.ones((2, V), np.bool_)
    legal[0, [3, 9, 20]] = False
    legal[1] = ~legal[0]
    after = np.zeros((2, V), np.uint8)
    return Grammar(after, legal, np.zeros(2), legal / legal.sum(1, keepdims=True))


def test_every_softmax_is_over_what_is_legal():
    """p(v) by the logits of all tokens, by the nats of a target, and by the loss are the same."""
    model, outputs, grammar = model_of(), outputs_of(), spelling()
    model.decoder.rank(np.arange(V), grammar.legal)
    rng = np.random.default_rng(6)
    states = rng.integers(0, 2, (T, B))
    targets = np.array(
        [[rng.choice(np.flatnonzero(grammar.legal[s])) for s in row] for row in states]
    )
    logits = model.logits(outputs).detach().numpy()
    p = np.where(grammar.legal[states], np.exp(logits), 0)
    p /= p.sum(axis=2, keepdims=True)
    wanted = -np.log(np.take_along_axis(p, targets[..., None], 2)[..., 0])
    nats = TargetNats(model, grammar)(outputs, targets, states)
    np.testing.assert_allclose(nats, wanted, rtol=0, atol=1e-10)
    about = torch.from_numpy(targets), legal_of(grammar.legal), states
    loss = cross_entropy(model, outputs, *about)
    assert loss.item() == pytest.approx(wanted.mean(), abs=1e-10)
    # What is illegal costs infinity, by itself and by its cluster.
    for state, illegal in ((0, 9), (1, 0), (1, 22)):
        places = np.full((T, B), illegal), np.full((T, B), state)
        assert np.isinf(TargetNats(model, grammar)(outputs, *places)).all()


def test_a_cluster_without_a_target_has_a_gradient_of_zeros():
    """And not none, by which it would be moved otherwise than beside another process."""
    model = model_of()
    targets = torch.full((T, B), 7)
    about = targets, legal_of(EVERYTHING), np.zeros((T, B), np.uint8)
    cross_entropy(model, outputs_of(), *about).backward()
    for part in model.decoder.tail[1]:
        assert not part.weight.grad.any()
    for part in (model.decoder.head, *model.decoder.tail[0]):
        assert part.weight.grad.any()


def test_bf16_products_stay_near():
    targets = torch.from_numpy(np.random.default_rng(4).integers(0, V, (T, B)))
    about = targets, legal_of(EVERYTHING), np.zeros((T, B), np.uint8)
    exact = cross_entropy(model_of(), outputs_of(), *about)
    model = model_of(torch.float32)
    model.precision = torch.bfloat16
    found = cross_entropy(model, outputs_of(torch.float32), *about)
    assert found.dtype == torch.float32
    assert 0 < abs(float(found.detach()) - float(exact.detach())) < 2e-2
    assert model.logits(outputs_of(torch.float32)).dtype == torch.float32


def test_the_number_of_parameters():
    clusters = sum(cluster_size(H, number) * (H + size) for number, size in ((1, 5), (2, V - 11)))
    decoder = (6 + 2) * (H + 1) + clusters
    assert ARCHITECTURE.parameters() == V * E + 3 * H * (E + H + 2) + decoder
    assert cutoffs_of(weights_of(model_of())) == CUTOFFS


LEGAL = arrays.arrays(np.bool_, st.tuples(st.integers(1, 4), st.just(V))).filter(
    lambda legal: legal[0].any()
)
COUNTS = arrays.arrays(np.int64, V, elements=st.integers(0, 9))


@given(COUNTS, LEGAL)
def test_ranks_are_by_frequency_after_those_that_are_legal_elsewhere(counts, legal):
    ranks = ranked(-counts, legal)
    order = np.argsort(ranks)
    assert sorted(ranks.tolist()) == list(range(V))
    odd = unusual(legal)
    assert (odd[order] == (np.arange(V) < odd.sum())).all()
    for some in (order[: odd.sum()], order[odd.sum() :]):
        assert (np.diff(counts[some]) <= 0).all()
    usual = legal[:, ~odd]
    assert (usual == usual[:, :1]).all()


def test_the_same_tokens_keep_everything():
    weights = weights_of(model_of(order=SHUFFLED))
    found = clusters_for(weights, np.arange(V), EVERYTHING)
    for name, array in found.items():
        np.testing.assert_array_equal(array, weights[name], err_msg=name)


def test_more_tokens_join_the_last_cluster():
    weights = weights_of(model_of(order=SHUFFLED))
    rows = np.concatenate([[-1], np.arange(V), [-1, -1]])  # new ones before and after
    legal = np.ones((1, V + 3), np.bool_)
    found = clusters_for(weights, rows, legal)
    assert {n for n, w in found.items() if len(w) > len(weights[n])} == {
        "decoder.ranks", "decoder.tail.1.1.weight"
    }  # fmt: skip
    np.testing.assert_array_equal(found["decoder.ranks"][1:-2], weights["decoder.ranks"])
    last = weights["decoder.tail.1.1.weight"]
    np.testing.assert_array_equal(found["decoder.tail.1.1.weight"][:-3], last)
    np.testing.assert_allclose(
        found["decoder.tail.1.1.weight"][-3:], np.tile(last.mean(axis=0), (3, 1)), rtol=1e-6
    )
    np.testing.assert_array_equal(found["decoder.head.bias"], weights["decoder.head.bias"])


def test_a_token_that_comes_into_another_cluster_begins_at_its_mean():
    """Without the most frequent token, each next one moves up; the last of a cluster moves out."""
    weights = weights_of(model_of())
    found = clusters_for(weights, np.arange(1, V), np.ones((1, V - 1), np.bool_))
    np.testing.assert_array_equal(found["decoder.ranks"], np.arange(V - 1))
    head, old = found["decoder.head.weight"], weights["decoder.head.weight"]
    np.testing.assert_array_equal(head[:5], old[1:6])
    np.testing.assert_allclose(head[5], old[:6].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(head[6:], old[6:])  # of the clusters
    tail, old = found["decoder.tail.0.1.weight"], weights["decoder.tail.0.1.weight"]
    np.testing.assert_array_equal(tail[:4], old[1:])
    np.testing.assert_allclose(tail[4], old.mean(axis=0), rtol=1e-5)
    tail, old = found["decoder.tail.1.1.weight"], weights["decoder.tail.1.1.weight"]
    np.testing.assert_array_equal(tail, old[1:])
