"""The chunked loss against plain cross-entropy, and the penalties on activations."""

import numpy as np
import pytest
import torch
from reference.losses import (
    B,
    E,
    H,
    T,
    V,
    assert_same_with_gradients,
    legal_of,
    model_of,
    places,
)
from torch.nn import functional as F

from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel, Passed
from charlm.model.stack import Border
from charlm.training import loss as loss_module
from charlm.training.activation_penalties import activation_penalty, temporal_activation_penalty
from charlm.training.loss import cross_entropy


def plain(model, outputs, targets, legal, states):
    logits = model.logits(outputs).flatten(0, 1)
    penalty = legal._penalty.to(logits.dtype)[torch.tensor(states.ravel())]
    return F.cross_entropy(logits + penalty, targets.flatten())


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied, projected"])
@pytest.mark.parametrize("chunk", [V, 3 * V, 1000 * V], ids=["a place", "three", "all"])
def test_loss_and_gradients_are_those_of_cross_entropy(tied, chunk, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", chunk)
    monkeypatch.setattr(loss_module, "FEWEST_PLACES", 1)
    targets, states = places()
    assert_same_with_gradients(
        lambda *given: cross_entropy(*given, targets, legal_of(), states),
        lambda *given: plain(*given, targets, legal_of(), states),
        tied,
        atol=1e-12,
    )


def test_bf16_products_stay_near():
    targets, states = places()
    outputs = torch.randn(T, B, H, generator=torch.Generator().manual_seed(4))
    exact = plain(model_of(True), outputs.double(), targets, legal_of(), states)
    model = model_of(True, torch.float32)
    model.precision = torch.bfloat16
    loss = cross_entropy(model, outputs, targets, legal_of(), states)
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(exact.detach()), abs=1e-2)


def test_without_a_gradient_none_is_made():
    targets, states = places()
    model = model_of(False)
    outputs = torch.randn(T, B, H, dtype=torch.float64)
    with torch.no_grad():
        loss = cross_entropy(model, outputs, targets, legal_of(), states)
    assert not loss.requires_grad
    wanted = plain(model, outputs, targets, legal_of(), states)
    torch.testing.assert_close(loss, wanted.detach())


def passed_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    undropped = torch.randn(T, B, H, generator=generator, requires_grad=True)
    mask = (torch.rand(1, B, H, generator=generator) < 0.5) * 2.0
    return Passed(undropped * mask, (), undropped)


def test_ar_is_the_mean_square_of_what_is_put_out():
    passed = passed_of()
    wanted = 3.0 * np.mean(passed.outputs.detach().numpy() ** 2)
    assert float(activation_penalty(passed, 3.0).detach()) == pytest.approx(float(wanted), rel=1e-6)


def test_tar_is_the_mean_square_of_changes_but_for_those_across_a_border():
    passed = passed_of()
    borders = [
        Border(0, torch.tensor([True, True, False, False])),
        Border(2, torch.tensor([False, True, False, True])),
    ]
    h = passed.undropped.detach().numpy()
    wanted = 0.0
    for t in range(T - 1):
        for stream in range(B):
            if not (t == 1 and stream in (1, 3)):
                wanted += float(((h[t + 1, stream] - h[t, stream]) ** 2).sum())
    found = temporal_activation_penalty(passed, 2.0, borders)
    assert float(found.detach()) == pytest.approx(2.0 * wanted / ((T - 1) * B * H), rel=1e-5)
    found.backward()


def test_tar_of_a_single_step_is_nothing():
    one = torch.randn(1, B, H)
    assert float(temporal_activation_penalty(Passed(one, (), one), 2.0, [])) == 0.0


def test_penalties_change_gradients_and_not_the_reported_loss(tiny_task):
    plain_loss, plain_gradient = tiny_task()
    for penalties in ((5.0, 0.0), (0.0, 5.0)):
        loss, gradient = tiny_task(*penalties)
        assert loss == plain_loss
        assert not torch.allclose(gradient, plain_gradient)


@pytest.fixture
def tiny_task():
    from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
    from charlm.training.batches import StreamBatches
    from charlm.training.language_modelling import LanguageModelling

    text = "abc abd\n" * 40
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), [text])
    ids = tokenizer.encode(text)

    def run(*penalties):
        a = Architecture(tokenizer.vocabulary_size, "rnn", 1, H, E, False, nonlinearity="relu")
        model = LanguageModel(a).initialise("identity", Draws(1, 0))
        batches = StreamBatches(
            ids, np.zeros(1, np.int64), tokenizer.boundary_id, tokenizer.grammar, 4, 8, 0.0, 1
        )
        task = LanguageModelling(model, batches, DropoutRates(output=0.2), 1, *penalties)
        step = task.loss(0)
        assert (step.penalty is None) == (not any(penalties))
        (step.loss if step.penalty is None else step.loss + step.penalty).backward()
        return float(step.loss.detach()), model.layers[0].weight_hh.grad

    return run
