"""Truncated back-propagation: what is carried from window to window, and what is not."""

import numpy as np
import pytest
from reference.language_model_numpy import float64_weights, logits
from reference.texts import english

from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling

B, T = 2, 7


@pytest.fixture
def task():
    """Over a plain English text of one document: every token is a character."""
    text = english(3)
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char", min_count=1), [text])
    a = Architecture(tokenizer.vocabulary_size, "lstm", 2, 6, 5, False)
    model = LanguageModel(a).initialise("orthogonal", Draws(1, 0)).double()
    batches = StreamBatches(
        tokenizer.encode(text),
        np.zeros(1, np.int64),
        tokenizer.boundary_id,
        tokenizer.grammar,
        B,
        T,
        0.0,
        1,
    )
    return LanguageModelling(model, batches, DropoutRates(), 1)


def by_hand(task, windows):
    """The mean loss of the last of some windows that are read one after the other."""
    legal = task.batches.grammar.legal[0]
    nats = []
    for stream in range(B):
        inputs = np.concatenate([window.inputs[:, stream] for window in windows])
        y = logits(float64_weights(task.model), inputs)[-T:]
        y = np.where(legal, y, -np.inf)
        for row, target in zip(y, windows[-1].targets[:, stream].numpy(), strict=True):
            nats.append(np.log(np.exp(row).sum()) - row[target])
    return np.mean(nats)


def test_windows_go_on_where_the_last_one_ended_and_an_epoch_starts_from_zeros(task):
    """The second epoch begins in the middle of the text: without a border, but anew."""
    per_epoch = task.windows_per_epoch
    assert per_epoch >= 3
    for epoch in range(2):
        for number in range(3):
            first = epoch * per_epoch
            windows = [task.batches.window(first + k) for k in range(number + 1)]
            found = task.loss(first + number)
            assert found.loss.item() == pytest.approx(by_hand(task, windows), abs=1e-10)
            assert found.tokens == B * T
            assert found.epoch == pytest.approx(epoch + (number + 1) / per_epoch)
        if epoch == 0:
            for step in range(3, per_epoch):
                task.loss(step)


def test_the_gradient_ends_where_the_window_begins(task):
    task.loss(0)
    before = task.carried()
    assert all(not part.requires_grad for part in before.values())
    task.loss(1).loss.backward()  # would go back through a freed graph
    assert set(before) == {f"{layer}.{name}" for layer in range(2) for name in "hc"}


def test_what_was_carried_can_be_put_back(task):
    task.loss(0)
    kept = {name: part.clone() for name, part in task.carried().items()}
    wanted = task.loss(1).loss.item()
    task.state = task.model.empty_state(B)
    assert task.loss(1).loss.item() != wanted
    task.restore(kept)
    assert task.loss(1).loss.item() == wanted
