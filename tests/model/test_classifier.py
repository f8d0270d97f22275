"""A classifier's network against torch.nn, and whatever a text is read with."""

import numpy as np
import pytest
import torch
from torch import nn

from charlm import registry
from charlm.draws import Draws
from charlm.model import whole_texts
from charlm.model.classifier import ClassifierArchitecture
from charlm.model.dropout import DropoutRates
from charlm.model.head import Head
from charlm.model.language_model import Architecture
from charlm.model.whole_texts import Texts
from model.kinds import CELLS, DROPOUTS

V, E, H, C = 11, 5, 6, 3
LENGTHS = torch.tensor([9, 4, 1, 7])


def network(kind=CELLS["lstm"], layers=2, zoneout=0.0, **more):
    a = Architecture(
        V, kind.cell, layers, H, E, False, last_hidden_size=7 if layers > 1 else None,
        nonlinearity=kind.nonlinearity, bias=kind.bias, zoneout=zoneout,
    )  # fmt: skip
    more = {"head_size": 4} | more
    return ClassifierArchitecture(a, C, **more).build().initialise("orthogonal", Draws(1, 0))


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Texts(
        torch.randint(0, V, (int(LENGTHS.max()), len(LENGTHS)), generator=generator), LENGTHS
    )


def alone(texts, column):
    length = int(texts.lengths[column])
    return Texts(texts.ids[:length, column : column + 1], texts.lengths[column : column + 1])


@pytest.mark.parametrize("pooling", registry.POOLINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_text_is_the_same_whatever_it_is_read_with(cell, pooling):
    zoneout = 0.2 if CELLS[cell].make().recurrent else 0.0
    model, texts = network(CELLS[cell], pooling=pooling, zoneout=zoneout).double(), batch()
    (together,), _ = model([texts], chunk=4)
    for column in range(len(LENGTHS)):
        for chunk in (1, 100):
            (found,), _ = model([alone(texts, column)], chunk)
            torch.testing.assert_close(found[0], together[column], rtol=0, atol=1e-12)


def test_what_is_behind_the_end_of_a_text_counts_for_nothing():
    model, texts = network().double(), batch()
    (before,), _ = model([texts], chunk=4)
    ids = texts.ids.clone()
    for column, length in enumerate(LENGTHS.tolist()):
        ids[length:, column] = (ids[length:, column] + 1) % V
    (after,), _ = model([Texts(ids, LENGTHS)], chunk=4)
    assert torch.equal(after, before)


def expected(model, outputs, pooling):
    """The head over what is pooled of outputs (n, H), written out in NumPy."""
    h = outputs.detach().numpy()
    parts = {"last": [h[-1]], "mean": [h.mean(0)], "max": [h.max(0)]}
    parts["concat"] = parts["last"] + parts["max"] + parts["mean"]
    head = model.heads[0]
    mean, deviation = head.usual_mean.numpy(), head.usual_deviation.numpy()
    x = (np.concatenate(parts[pooling]) - mean) / deviation
    hidden, output = head.hidden, head.output
    x = np.maximum(0, hidden.weight.detach().numpy() @ x + hidden.bias.detach().numpy())
    return output.weight.detach().numpy() @ x + output.bias.detach().numpy()


@pytest.mark.parametrize("pooling", registry.POOLINGS)
def test_against_torch_nn(pooling):
    model, texts = network(layers=1, pooling=pooling).double(), batch()
    head = model.heads[0]
    for values in (head.hidden.bias, head.usual_mean):
        nn.init.normal_(values)
    nn.init.uniform_(head.usual_deviation, 0.5, 2)
    encoder = model.readers[0]
    lstm = nn.LSTM(E, H).double()
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    lstm.load_state_dict({f"{name}_l0": getattr(encoder.layers[0], name) for name in names})
    (found,), _ = model([texts], chunk=3)
    for column in range(len(LENGTHS)):
        ids = alone(texts, column).ids
        outputs, _ = lstm(encoder.embedding(ids))
        wanted = expected(model, outputs[:, 0], pooling)
        np.testing.assert_allclose(found[column].detach().numpy(), wanted, atol=1e-10)


def test_two_encoders_with_one_head_are_a_bidirectional_network():
    model = network(layers=1, encoders=2, pooling="last", head_size=None).double()
    lstm = nn.LSTM(E, H, bidirectional=True).double()
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    lstm.load_state_dict(
        {
            f"{name}_l0{end}": getattr(encoder.layers[0], name)
            for encoder, end in zip(model.readers, ("", "_reverse"), strict=True)
            for name in names
        }
    )
    model.readers[1].embedding.weight.data = model.readers[0].embedding.weight.data
    one = alone(batch(), 0)
    (found,), _ = model([one, Texts(one.ids.flip(0), one.lengths)], chunk=100)
    _, (h, _) = lstm(model.readers[0].embedding(one.ids))
    (wanted,) = model.logits([h[0].unsqueeze(1), h[1].unsqueeze(1)])
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def gradients(model, rates, **how):
    model.zero_grad()
    (logits,), _ = model([batch()], 4, rates, Draws(1, 5), 0.3, **how)
    logits.square().sum().backward()
    learned = [(n, weight) for n, weight in model.named_parameters() if weight.requires_grad]
    return {name: weight.grad.clone() for name, weight in learned}


@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("cell", ("lstm", "gru"))
def test_reading_chunks_again_changes_no_gradient(cell, name, monkeypatch):
    rates = DROPOUTS[name]
    rates = DropoutRates(0.2, 0.2, 0.2, rates.temporal, rates.temporal_kind, rates.temporal_mask)
    model = network(CELLS[cell])
    kept = gradients(model, rates)
    monkeypatch.setattr(whole_texts, "KEPT_BYTES", 0)
    again = gradients(model, rates)
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    assert all(grad.any() for grad in kept.values())


def test_dropout_is_drawn_for_the_batch_and_only_where_draws_are_given():
    model, rates = network(encoders=2, heads=2), DropoutRates(input=0.5, temporal=0.5)
    texts = [batch(), batch()]
    first, second, other = (model(texts, 4, rates, Draws(1, step), 0.5)[0] for step in (1, 1, 2))
    assert torch.equal(first[0], second[0]) and not torch.equal(first[0], other[0])
    model.encoders[1].load_state_dict(model.encoders[0].state_dict())
    model.heads[1].load_state_dict(model.heads[0].state_dict())
    dropped, whole = model(texts, 4, rates, Draws(1, 1), 0.5)[0], model(texts, 4, rates)[0]
    assert torch.equal(whole[0], whole[1]) and not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize(("encoders", "heads"), [(1, 1), (2, 1), (2, 2)])
def test_a_head_takes_off_what_is_common_to_all_texts(encoders, heads):
    model = network(encoders=encoders, heads=heads, layers=1).double()
    pooled, _ = whole_texts.read(model.readers[0], batch(), 4)
    vectors = torch.cat([model.pooling(pooled, LENGTHS).flatten(1)] * encoders, dim=1)
    vectors = vectors.detach()
    vectors[:, 2] = 0.25  # a unit that says nothing
    model.standardise(vectors)
    for number, part in enumerate(vectors.chunk(heads, dim=1)):
        head = model.heads[number]
        x = (part - head.usual_mean) / head.usual_deviation
        torch.testing.assert_close(x.mean(0), torch.zeros_like(x[0]), rtol=0, atol=1e-12)
        variance = part.var(0, correction=0)
        wanted = variance / (variance + 0.01 * variance.mean())
        torch.testing.assert_close(x.var(0, correction=0), wanted, rtol=1e-6, atol=1e-6)
        assert head.usual_deviation.min() > 0
    assert not model.heads[0].usual_mean.requires_grad


@pytest.mark.parametrize("hidden", [None, 4])
def test_while_a_head_learns_the_usual_text_is_that_of_the_batch(hidden):
    model = network(head_size=hidden)
    head, vectors = model.heads[0], torch.randn(5, 3, 7) * torch.rand(7) + torch.randn(7)
    vectors[:, 1, 2] = 0.25  # a unit that says nothing
    nn.init.normal_(head.usual_mean)
    found = head(vectors.requires_grad_(), 0.0, Draws(1, 1))
    flat = vectors.flatten(1)
    least = 0.01 * flat.detach().var(0, correction=0).mean()
    norm = nn.BatchNorm1d(21, affine=False, eps=float(least))
    layers = [norm, *([] if hidden is None else [head.hidden, nn.ReLU()]), head.output]
    wanted = nn.Sequential(*layers)(flat)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    ours, theirs = (torch.autograd.grad(y.square().sum(), vectors)[0] for y in (found, wanted))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert ours[:, 1, 2].abs().sum() > 0  # and may come to say something


def test_a_head_learns_where_all_texts_of_a_batch_move_together():
    """By far more than what tells them apart: as with an encoder's step, or a shared mask."""
    generator = torch.Generator().manual_seed(1)

    def texts(count, shift):
        labels = torch.arange(count) % C
        noise = torch.randn(count, 12, generator=generator)
        return shift * torch.randn(12, generator=generator) + directions[labels] + noise, labels

    directions = 2 * torch.randn(C, 12, generator=generator)
    head = Head(1, 12, 8, C)
    with torch.no_grad():
        head.draw(generator)
        head.standardise(texts(64, 0.0)[0])
    learned = [weight for weight in head.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=0.01)
    for step in range(150):
        vectors, labels = texts(16, 30.0)
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(vectors, 0.0, Draws(1, step)), labels).backward()
        optimizer.step()
    vectors, labels = texts(300, 0.0)
    head.standardise(vectors)
    found = head(vectors, 0.0, None).argmax(1) == labels
    assert found.float().mean() > 0.9


def test_of_one_text_alone_a_head_learns_nothing_of_the_encoder():
    model = network()
    vectors = torch.randn(1, 3, 7, requires_grad=True)
    model.heads[0](vectors, 0.0, Draws(1, 1)).square().sum().backward()
    assert torch.equal(vectors.grad, torch.zeros_like(vectors))


def test_every_weight_is_in_one_layer_group_from_the_top():
    model = network(encoders=2, heads=2, predicts=True)
    groups = model.layer_groups()
    assert sorted(name for group in groups for name in group) == sorted(
        name for name, weight in model.named_parameters() if weight.requires_grad
    )
    learned = {name: w for name, w in model.named_parameters() if w.requires_grad}
    assert model.architecture.parameters() == sum(w.numel() for w in learned.values())
    kinds = [{name.split(".", 2)[2].rsplit(".", 1)[0] for name in group} for group in groups[1:]]
    assert kinds == [{"layers.1"}, {"layers.0"}, {"embedding"}]
    assert any("decoder" in name for name in groups[0])


def test_an_encoder_that_does_not_learn_keeps_nothing():
    model = network()
    model.encoders.requires_grad_(False)
    seen = []
    model.readers[0].register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    (logits,), _ = model([batch()], 4)
    logits.sum().backward()
    assert seen and not any(seen)
    learned = [weight for weight in model.heads.parameters() if weight.requires_grad]
    assert learned and all(weight.grad is not None for weight in learned)
