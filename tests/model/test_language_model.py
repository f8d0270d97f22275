"""The language model against a plain one of torch.nn."""

import numpy as np
import pytest
import torch
from torch import nn

from charlm.draws import Draws
from charlm.model.language_model import Architecture, LanguageModel
from charlm.model.legal import LegalTokens
from charlm.model.stack import Border
from charlm.training.loss import cross_entropy

T, B, E, H, V = 3, 4, 5, 6, 7
VARIANTS = {
    "untied": Architecture(V, "lstm", 2, H, E, False),
    "projected": Architecture(V, "lstm", 2, H, E, True),
    "tied": Architecture(V, "lstm", 2, H, H, True),
}
variants = pytest.mark.parametrize("architecture", VARIANTS.values(), ids=VARIANTS)


class Plain(nn.Module):
    """What anybody would write with torch.nn."""

    def __init__(self, a):
        super().__init__()
        self.embedding = nn.Embedding(a.vocabulary_size, a.embedding_size)
        self.lstm = nn.LSTM(a.embedding_size, a.hidden_size, a.layers)
        self.projection = None
        top = a.hidden_size
        if a.tie_weights and a.embedding_size != a.hidden_size:
            self.projection = nn.Linear(a.hidden_size, a.embedding_size, bias=False)
            top = a.embedding_size
        self.decoder = nn.Linear(top, a.vocabulary_size)
        if a.tie_weights:
            self.decoder.weight = self.embedding.weight

    def forward(self, ids, state):
        y, state = self.lstm(self.embedding(ids), state)
        if self.projection is not None:
            y = self.projection(y)
        return self.decoder(y), state


def pair(architecture):
    """Our model and the plain one with the same weights, in float64."""
    torch.manual_seed(0)
    ours, plain = LanguageModel(architecture).double(), Plain(architecture).double()
    with torch.no_grad():
        for p in ours.parameters():
            p.normal_(0, 0.5)
        for name, p in ours.named_parameters():
            if name.startswith("layers."):
                _, number, kind = name.split(".")
                name = f"lstm.{kind}_l{number}"
            plain.get_parameter(name).copy_(p)
    return ours, plain


@pytest.fixture
def ids():
    return torch.randint(V, (T + 1, B), generator=torch.Generator().manual_seed(1))


@variants
def test_logits_states_and_gradients_are_those_of_plain_torch(architecture, ids):
    ours, plain = pair(architecture)
    h0, c0 = torch.randn(2, 2, B, H, dtype=torch.float64)
    outputs, state, _ = ours(ids[:-1], tuple(zip(h0, c0, strict=True)))
    logits, (h, c) = plain(ids[:-1], (h0, c0))
    torch.testing.assert_close(ours.logits(outputs), logits, rtol=0, atol=1e-10)
    for number in range(2):
        torch.testing.assert_close(state[number][0], h[number], rtol=0, atol=1e-10)
        torch.testing.assert_close(state[number][1], c[number], rtol=0, atol=1e-10)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[1:].flatten())
    everything = LegalTokens(np.ones((1, V), np.bool_), torch.device("cpu"))
    found = cross_entropy(ours, outputs, ids[1:], everything, np.zeros((T, B), np.uint8))
    torch.testing.assert_close(found, loss, rtol=0, atol=1e-12)
    loss.backward()
    found.backward()
    for name in ("embedding.weight", "decoder.bias"):
        torch.testing.assert_close(
            ours.get_parameter(name).grad, plain.get_parameter(name).grad, rtol=0, atol=1e-10
        )


@variants
def test_the_number_of_parameters(architecture):
    a = architecture
    recurrent = 4 * H * (a.embedding_size + H + 2) + 4 * H * (H + H + 2)
    wanted = V * a.embedding_size + recurrent + V
    if not a.tie_weights:
        wanted += V * H
    elif a.embedding_size != H:
        wanted += a.embedding_size * H
    assert a.parameters() == wanted
    assert sum(p.numel() for p in LanguageModel(a).parameters()) == wanted
    assert sum(p.numel() for p in Plain(a).parameters()) == wanted


def test_counting_parameters_makes_none():
    huge = Architecture(300_000, "lstm", 64, 65536, 65536, False)
    assert huge.parameters() > 2e12


def test_tying_leaves_one_matrix():
    names = {
        variant: set(dict(LanguageModel(a).named_parameters())) for variant, a in VARIANTS.items()
    }
    assert names["untied"] - names["tied"] == {"decoder.weight"}
    assert names["projected"] - names["tied"] == {"projection.weight"}
    assert names["tied"] < names["projected"]


def test_a_document_that_begins_in_a_window_does_not_know_what_came_before(ids):
    model = LanguageModel(VARIANTS["projected"]).initialise("orthogonal", Draws(1, 0)).double()
    _, start, _ = model(ids, model.empty_state(B))
    border = Border(1, torch.tensor([False, True, False, False]))
    outputs, _, _ = model(ids, start, [border])
    whole, _, _ = model(ids, start)
    alone, _, _ = model(ids[1:], model.empty_state(B))
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(outputs[1:, 1], alone[:, 1], **close)
    torch.testing.assert_close(outputs[0], whole[0], **close)
    torch.testing.assert_close(outputs[:, [0, 2, 3]], whole[:, [0, 2, 3]], **close)
    assert (outputs[1:, 1] - whole[1:, 1]).abs().max() > 1e-4


@variants
def test_bf16_products_give_fp32_logits_near_the_exact_ones(architecture, ids):
    model = LanguageModel(architecture).initialise("orthogonal", Draws(1, 0))
    exact = model.logits(model(ids, model.empty_state(B))[0])
    model.precision = torch.bfloat16
    outputs, _, _ = model(ids, model.empty_state(B))
    narrow = model.logits(outputs)
    assert outputs.dtype == torch.bfloat16
    assert narrow.dtype == exact.dtype == torch.float32
    assert not torch.equal(narrow, exact)
    torch.testing.assert_close(narrow, exact, rtol=0, atol=2e-2)


@pytest.mark.parametrize("kernel", ["auto", "fused", "reference"])
def test_the_kernel_is_no_part_of_what_a_model_is(kernel, ids):
    model = LanguageModel(VARIANTS["untied"]).initialise("orthogonal", Draws(1, 0))
    wanted, _, _ = model(ids, model.empty_state(B))
    model.kernel = kernel
    found, _, _ = model(ids, model.empty_state(B))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


def test_the_softmax_is_over_what_may_stand_at_a_place(ids):
    """q(v) = exp(y_v) / sum over the legal u of exp(y_u); no gradient reaches the others."""
    legal = np.array([[1, 1, 0, 1, 0, 1, 1], [0, 0, 1, 0, 1, 0, 0]], np.bool_)
    states = np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 0]], np.uint8)
    choices = [np.flatnonzero(row) for row in legal]
    targets = np.array([[choices[s][n % len(choices[s])] for n, s in enumerate(r)] for r in states])
    for chosen in (states, np.zeros_like(states)):
        wanted_targets = targets if chosen is states else np.full_like(targets, 3)
        model = LanguageModel(VARIANTS["untied"]).initialise("orthogonal", Draws(1, 0)).double()
        outputs, _, _ = model(ids[:-1], model.empty_state(B))
        y = model.logits(outputs).detach().numpy()
        nats = [
            np.log(np.exp(y[t, b][legal[chosen[t, b]]]).sum()) - y[t, b, wanted_targets[t, b]]
            for t in range(T)
            for b in range(B)
        ]
        loss = cross_entropy(
            model,
            outputs,
            torch.from_numpy(wanted_targets),
            LegalTokens(legal, torch.device("cpu")),
            chosen,
        )
        assert loss.item() == pytest.approx(np.mean(nats), abs=1e-10)
        loss.backward()
        reached = model.decoder.bias.grad.numpy() != 0
        assert np.array_equal(reached, legal[np.unique(chosen)].any(axis=0))
