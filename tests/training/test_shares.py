"""Streams dealt to several processes: the parts of a step add up to the step of one process.

In fp64, but for the penalties, which are made in fp32.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model.kinds import CELLS, DROPOUTS

from charlm.draws import Draws, Share
from charlm.errors import UsageError
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.ranks import Ranks

TEXT = "the patient came to ward four with pain é and slept\n" * 8
TOKENIZER = fit_tokenizer(TokenizerSettings(kind="char"), [TEXT])
STREAMS, STEPS = 5, 3


def task(cell, rates, share):
    a = Architecture(
        TOKENIZER.vocabulary_size, cell.cell, 2, 6, 5, True,
        last_hidden_size=7, nonlinearity=cell.nonlinearity, bias=cell.bias,
        zoneout=rates.temporal if rates.temporal_kind == "zoneout" else 0.0,
    )  # fmt: skip
    model = LanguageModel(a).initialise("orthogonal", Draws(1, 0)).double()
    batches = StreamBatches(
        TOKENIZER.encode(TEXT), np.array([0, 100]), TOKENIZER.boundary_id, TOKENIZER.grammar,
        STREAMS, 8, 0.3, 1, variable=True, share=share,
    )  # fmt: skip
    rates = replace(rates, embedding=0.1, input=0.1, inter_layer=0.2, output=0.2)
    return LanguageModelling(model, batches, rates, 1, 1.0, 1.0)


def steps(task):
    """Loss, tokens and gradients of some steps in a row, and the state after them."""
    found = []
    for step in range(STEPS):
        task.model.zero_grad()
        loss = task.loss(step)
        (loss.loss + loss.penalty).backward()
        gradients = [parameter.grad.clone() for parameter in task.model.parameters()]
        found.append((loss.loss.detach(), loss.tokens, gradients))
    return found, task.carried()


@pytest.mark.parametrize(
    ("cell", "rates"),
    [
        pytest.param(cell, rates, id=f"{cell_name} | {name}")
        for (cell_name, cell), (name, rates) in itertools.product(CELLS.items(), DROPOUTS.items())
    ],
)
def test_parts_add_up_to_the_whole_with_every_dropout(cell, rates):
    whole, carried = steps(task(cell, rates, None))
    (some, their_state), (others, other_state) = (
        steps(task(cell, rates, Share.deal(STREAMS, rank, 2))) for rank in range(2)
    )
    for (loss, tokens, gradients), a, b in zip(whole, some, others, strict=True):
        torch.testing.assert_close(a[0] + b[0], loss, rtol=0, atol=1e-12)
        assert a[1] == b[1] == tokens
        for gradient, one, other in zip(gradients, a[2], b[2], strict=True):
            assert (one + other - gradient).abs().max() <= 1e-6 * gradient.abs().max()
    for name, state in carried.items():
        both = torch.cat([their_state[name], other_state[name]])
        torch.testing.assert_close(both, state, rtol=0, atol=1e-11)


@given(st.integers(1, 40), st.integers(1, 9))
def test_every_stream_is_dealt_once_and_evenly(streams, ranks):
    shares = [Share.deal(streams, rank, ranks) for rank in range(ranks)]
    assert [n for share in shares for n in range(share.begin, share.end)] == [*range(streams)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert sum(share.part for share in shares) == pytest.approx(1)


def test_fewer_streams_than_processes_are_refused():
    ranks = Ranks()
    ranks.size = 3
    assert ranks.share(3) == Share(0, 1, 3)
    with pytest.raises(UsageError, match="3 processes and 2 streams"):
        ranks.share(2)
