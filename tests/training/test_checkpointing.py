"""A run cut in two by a checkpoint on disk goes on bit for bit."""

import numpy as np
import pytest
import torch
from reference.texts import english

from charlm.draws import Draws
from charlm.errors import RunError
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training import checkpointing
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.optimizers import adamw

RATES = DropoutRates(0.1, 0.2, 0.2, 0.3)


class Training:
    def __init__(self, kernel="auto", precision=torch.float32, hidden=8, seed=1):
        text = english(12)
        tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), [text])
        ids = tokenizer.encode(text)
        a = Architecture(tokenizer.vocabulary_size, "lstm", 2, hidden, 6, True)
        self.model = LanguageModel(a).initialise("orthogonal", Draws(seed, 0))
        self.model.kernel, self.model.precision = kernel, precision
        batches = StreamBatches(
            ids, np.zeros(1, np.int64), tokenizer.boundary_id, tokenizer.grammar, 3, 5, 0.2, 1
        )
        self.task = LanguageModelling(self.model, batches, RATES, 1)
        self.optimizer = adamw(self.model.named_parameters(), 0.01, 0.1)

    def steps(self, first, last):
        for step in range(first, last):
            loss = self.task.loss(step).loss
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()

    def groups(self):
        return checkpointing.groups(self.model, self.optimizer, self.task)


def saved(training, step, folder):
    run = RunDirectory.create(folder)
    checkpoints.save(run, step, training.groups(), {"step": step})
    return run


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernel", ["auto", "fused", "reference"])
def test_a_restored_run_goes_on_bit_for_bit(tmp_path, kernel, precision):
    whole = Training(kernel, precision)
    whole.steps(0, 3)
    run = saved(whole, 3, tmp_path / "run")
    whole.steps(3, 7)
    second = Training(kernel, precision, seed=2)  # other weights: all must come from the file
    checkpointing.restore(
        checkpoints.load(run, "last"), second.model, second.optimizer, second.task
    )
    second.steps(3, 7)
    for group, arrays in whole.groups().items():
        found = second.groups()[group]
        assert arrays.keys() == found.keys() and arrays
        for name, array in arrays.items():
            assert array.tobytes() == found[name].tobytes(), (group, name)


def test_the_state_is_carried_and_matters(tmp_path):
    whole, forgetful = Training(), Training()
    for training in (whole, forgetful):
        training.steps(0, 3)
    forgetful.task.state = forgetful.model.empty_state(3)
    losses = [training.task.loss(3).loss.item() for training in (whole, forgetful)]
    assert losses[0] != losses[1]


def test_weights_of_another_shape_are_refused_by_name(tmp_path):
    run = saved(Training(), 0, tmp_path / "run")
    wider = Training(hidden=9)
    before = wider.groups()["weights"]
    before = {name: array.copy() for name, array in before.items()}
    with pytest.raises(RunError, match=r"layers\.0\.weight_hh|layers\.0\.weight_ih|layers"):
        checkpointing.restore(
            checkpoints.load(run, "last"), wider.model, wider.optimizer, wider.task
        )
    assert all(np.array_equal(array, before[n]) for n, array in wider.groups()["weights"].items())


def test_an_optimiser_state_that_fits_no_weight_is_refused(tmp_path):
    training = Training()
    training.steps(0, 1)
    groups = training.groups()
    groups["optimizer"]["layers.9.weight_hh/exp_avg"] = np.zeros(3, np.float32)
    run = RunDirectory.create(tmp_path / "run")
    checkpoints.save(run, 1, groups, {"step": 1})
    with pytest.raises(RunError, match=r"layers\.9\.weight_hh"):
        checkpointing.restore(
            checkpoints.load(run, "last"), training.model, training.optimizer, training.task
        )
