"""Every cell with every dropout: a run that stops and goes on ends with the bytes of one that
never stopped, by way of what a checkpoint holds."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from model.kinds import CELLS, DROPOUTS, goes_with

from charlm.draws import Draws
from charlm.model.language_model import Architecture, LanguageModel
from charlm.runs.checkpoint import Checkpoint
from charlm.runs.tensors import decode, encode
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training import checkpointing
from charlm.training.averaging import Averages, NoAverage
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.optimizers import adamw

TEXT = "the patient came to ward four with pain é and slept\n" * 8
STEPS, STOP = 4, 2


class Training:
    """A network, what it learns and its optimiser."""

    def __init__(self, cell, rates, precision):
        tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), [TEXT])
        a = Architecture(
            tokenizer.vocabulary_size, cell.cell, 2, 6, 5, True,
            last_hidden_size=7, nonlinearity=cell.nonlinearity, bias=cell.bias,
            zoneout=rates.temporal if rates.temporal_kind == "zoneout" else 0.0,
        )  # fmt: skip
        self.model = LanguageModel(a).initialise("orthogonal", Draws(1, 0))
        self.model.precision = precision
        ids = tokenizer.encode(TEXT)
        batches = StreamBatches(
            ids, np.array([0, 100]), tokenizer.boundary_id, tokenizer.grammar, 3, 8, 0.2, 1
        )
        rates = replace(rates, embedding=0.1, input=0.1, inter_layer=0.2, output=0.2)
        self.task = LanguageModelling(self.model, batches, rates, 1, 1.0, 1.0)
        self.optimizer = adamw(self.model.named_parameters(), 0.01, 0.1)
        self.averages = Averages(list(self.model.parameters()), NoAverage())

    def run(self, begin, end):
        for step in range(begin, end):
            found = self.task.loss(step)
            self.optimizer.zero_grad(set_to_none=True)
            (found.loss + found.penalty).backward()
            self.optimizer.step()
        return self

    def stored(self):
        groups = checkpointing.groups(self.model, self.optimizer, self.averages, self.task)
        return {name: encode(arrays) for name, arrays in groups.items()}

    def restore(self, stored, path):
        groups = {name: decode(content, path) for name, content in stored.items()}
        checkpoint = Checkpoint(STOP, groups, {}, path)
        checkpointing.restore(checkpoint, self.model, self.optimizer, self.averages, self.task)
        return self


@pytest.mark.parametrize(
    ("cell", "rates", "precision"),
    [
        pytest.param(cell, rates, precision, id=f"{cell_name} | {name} | {str(precision)[6:]}")
        for (cell_name, cell), (name, rates), precision in itertools.product(
            CELLS.items(), DROPOUTS.items(), (torch.float32, torch.bfloat16)
        )
        if goes_with(cell, rates)
    ],
)
def test_stopped_and_gone_on_is_never_stopped(cell, rates, precision, tmp_path):
    whole = Training(cell, rates, precision).run(0, STEPS).stored()
    half = Training(cell, rates, precision).run(0, STOP).stored()
    resumed = Training(cell, rates, precision).restore(half, tmp_path).run(STOP, STEPS).stored()
    assert resumed == whole
    assert half != whole
