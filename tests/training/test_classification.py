"""Learning classes: what the loss is, which weights move when, and how fast."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from charlm import registry
from charlm.draws import Draws
from charlm.model.classifier import ClassifierArchitecture
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture
from charlm.text.text_ids import TextIds
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.classification import Classification
from charlm.training.optimizers import adamw

TEXTS = ["the heart beats", "a bone é", "knee", "valve and heart", "the knee is a joint", "ab"]
LABELS = np.array([0, 1, 1, 0, 1, 2])


def learned_in(found):
    """All weights by name, but what the head knows of the usual text beforehand."""
    named = found.model.named_parameters()
    return {name: weight for name, weight in named if ".usual_" not in name}


def task(weights=(1.0, 1.0, 1.0), directions=("forward",), heads=1, **more):
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), TEXTS)
    a = Architecture(tokenizer.vocabulary_size, "lstm", 2, 6, 5, more.pop("tied", False))
    architecture = ClassifierArchitecture(
        a, 3, encoders=len(directions), heads=heads, predicts=more.get("lm_loss", 0) > 0
    )
    model = architecture.build().initialise("orthogonal", Draws(1, 0)).double()
    ids = TextIds([tokenizer.encode(text) for text in TEXTS], tokenizer, 100, directions)
    rates = more.pop("rates", DropoutRates())
    found = Classification(
        model, ids, LABELS, 4, rates, 0.0, 4, 1, tokenizer.grammar, 0, list(weights), **more
    )
    found.tokenizer = tokenizer
    return found


def logits_of(task, numbers):
    texts = [task._texts(numbers, encoder) for encoder in range(len(task.model.encoders))]
    return task.model(texts, 4, draws=Draws(1, 0))[0]  # as heads do while they learn


@pytest.mark.parametrize("heads", (1, 2))
def test_the_loss_is_the_weighed_mean_over_the_texts(heads):
    weights = torch.tensor([0.5, 1.0, 3.0])
    found = task(weights.tolist(), ("forward", "backward"), heads)
    for step in range(2 * found.windows_per_epoch):
        numbers = found.batches.batch(step).numbers
        labels = torch.from_numpy(LABELS[numbers])
        each = [F.cross_entropy(y, labels, reduction="none") for y in logits_of(found, numbers)]
        wanted = np.mean([(weights[labels] * nats).mean().item() for nats in each])
        loss = found.loss(step)
        assert loss.loss.item() == pytest.approx(wanted, abs=1e-6)
        assert loss.share == len(numbers) / 4
        assert loss.penalty is None


def test_the_second_encoder_reads_from_the_end_and_spelled_characters_stay_whole():
    found = task(directions=("forward", "backward"))
    forward, backward = (found.texts.read(1, encoder) for encoder in (0, 1))
    boundary, decode = found.tokenizer.boundary_id, found.tokenizer.decode
    assert forward[0] == backward[0] == boundary
    assert decode(forward[1:]) == "a bone é" and decode(backward[1:]) == "é enob a"


@pytest.mark.parametrize("tied", (False, True))
@pytest.mark.parametrize("directions", (("forward",), ("forward", "backward")))
def test_the_auxiliary_loss_is_that_of_predicting_every_next_token(tied, directions):
    found = task(lm_loss=0.7, tied=tied, directions=directions, heads=len(directions))
    loss = found.loss(0)
    nats, count = 0.0, 0
    legal = torch.from_numpy(found.grammar.legal)
    for encoder, reader in enumerate(found.model.readers):
        for number in found.batches.batch(0).numbers.tolist():
            ids = found.texts.read(number, encoder)
            inputs = torch.from_numpy(ids[:-1]).unsqueeze(1)
            y = reader.logits(reader(inputs, reader.empty_state(1)).outputs)[:, 0]
            states = found.grammar.run(np.zeros(1, np.uint8), ids[1:, None])[0][:, 0]
            y = y.masked_fill(~legal[states.astype(np.int64)], -torch.inf)
            nats += F.cross_entropy(y, torch.from_numpy(ids[1:]), reduction="sum").item()
            count += len(ids)
    assert loss.penalty.item() == pytest.approx(0.7 * nats / count, abs=1e-6)
    (loss.loss + loss.penalty).backward()
    assert all(weight.grad is not None for weight in learned_in(found).values())


def test_layers_begin_to_learn_one_after_the_other():
    found = task(unfreeze_every=2)
    optimizer = adamw(found.model.named_parameters(), 0.01, 0.1)
    for step in range(9):
        before = {name: w.detach().clone() for name, w in found.model.named_parameters()}
        optimizer.zero_grad()
        found.loss(step).loss.backward()
        optimizer.step()
        moved = {n for n, w in found.model.named_parameters() if not torch.equal(w, before[n])}
        learning = {name for group in found.groups[: 1 + step // 2] for name in group}
        rows = {"encoders.0.embedding.weight"}  # only the rows that were read
        assert moved - rows == learning - rows and moved <= learning
        assert set(found.moved(step + 1)) == learning
        kept = {n for n, w in found.model.named_parameters() if w in optimizer.state}
        assert kept == learning
    assert not found.moved(0) and len(found.groups) == 4


def test_without_gradual_unfreezing_all_learn_at_once():
    found = task()
    assert set(found.moved(1)) == set(learned_in(found))


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
def test_layers_learn_at_rates_of_their_own(name):
    """A factor in the groups of every optimiser; of SGD, that of each step."""
    found = task()
    factor = {n: 2.0**-depth for depth, group in enumerate(found.groups) for n in group}
    make = registry.resolve(registry.OPTIMIZERS, name)
    learned = learned_in(found)
    optimizer = make(learned.items(), 0.5, 0.0, factor.__getitem__)
    by_weight = {
        id(w): group["factor"] for group in optimizer.param_groups for w in group["params"]
    }
    assert all(by_weight[id(w)] == factor[n] for n, w in learned.items())
