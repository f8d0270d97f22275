"""A run cut in two by a checkpoint on disk goes on bit for bit."""

import numpy as np
import pytest
import torch
from reference.texts import english

from charlm import registry
from charlm.draws import Draws
from charlm.errors import RunError
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import RunDirectory
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training import checkpointing
from charlm.training.averaging import Averages, ExponentialAverage, NoAverage, NonMonotoneAverage
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.state import Evaluations

RATES = DropoutRates(0.1, 0.2, 0.2, 0.3)
# Under which an average of NT-ASGD begins after step 2.
EVALUATIONS = Evaluations(
    [-4, -3, -2, -1, 0, 1, 2], [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 4.0], [None] * 7
)


class Training:
    def __init__(
        self,
        kernel="auto",
        precision=torch.float32,
        hidden=8,
        seed=1,
        optimizer="adamw",
        rule=None,
        variable=False,
    ):
        text = english(12)
        tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), [text])
        ids = tokenizer.encode(text)
        a = Architecture(tokenizer.vocabulary_size, "lstm", 2, hidden, 6, True)
        self.model = LanguageModel(a).initialise("orthogonal", Draws(seed, 0))
        self.model.kernel, self.model.precision = kernel, precision
        batches = StreamBatches(
            ids,
            np.zeros(1, np.int64),
            tokenizer.boundary_id,
            tokenizer.grammar,
            3,
            5,
            0.2,
            1,
            variable,
        )
        self.task = LanguageModelling(self.model, batches, RATES, 1)
        make = registry.resolve(registry.OPTIMIZERS, optimizer)
        self.optimizer = make(self.model.named_parameters(), 0.01, 0.1)
        self.averages = Averages(list(self.model.parameters()), rule or NoAverage())

    def steps(self, first, last):
        for step in range(first, last):
            loss = self.task.loss(step).loss
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.averages.after_step(step + 1, EVALUATIONS)

    def parts(self):
        return self.model, self.optimizer, self.averages, self.task

    def groups(self):
        return checkpointing.groups(*self.parts())


def saved(training, step, folder):
    run = RunDirectory.create(folder)
    checkpoints.save(run, step, training.groups(), {"step": step})
    return run


def assert_goes_on_bit_for_bit(folder, **how):
    whole = Training(**how)
    whole.steps(0, 3)
    run = saved(whole, 3, folder)
    whole.steps(3, 7)
    second = Training(**how, seed=2)  # other weights: all must come from the file
    checkpointing.restore(checkpoints.load(run, "last"), *second.parts())
    second.steps(3, 7)
    found, wanted = second.groups(), whole.groups()
    assert found.keys() == wanted.keys()
    for group, arrays in wanted.items():
        assert arrays.keys() == found[group].keys()
        for name, array in arrays.items():
            assert array.tobytes() == found[group][name].tobytes(), (group, name)
    return wanted


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernel", ["auto", "fused", "reference"])
def test_a_restored_run_goes_on_bit_for_bit(tmp_path, kernel, precision):
    groups = assert_goes_on_bit_for_bit(tmp_path / "run", kernel=kernel, precision=precision)
    assert set(groups) == {"weights", "optimizer", "carried"} and all(groups.values())


@pytest.mark.parametrize("rule", [None, ExponentialAverage(0.9), NonMonotoneAverage()])
@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS)
def test_with_every_optimizer_and_average_and_windows_of_many_lengths(tmp_path, optimizer, rule):
    how = {"optimizer": optimizer, "rule": rule, "variable": True}
    groups = assert_goes_on_bit_for_bit(tmp_path / "run", **how)
    assert ("raw" in groups) == (rule is not None)
    if rule is not None:
        different = [
            name
            for name, raw in groups["raw"].items()
            if not np.array_equal(raw, groups["weights"][name])
        ]
        assert different, "the averages are the raw weights"


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
        checkpointing.restore(checkpoints.load(run, "last"), *wider.parts())
    assert all(np.array_equal(array, before[n]) for n, array in wider.groups()["weights"].items())


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS)
@pytest.mark.parametrize("wrong", ["missing", "extra", "shape"])
def test_an_optimiser_state_that_does_not_fit_is_refused_by_name(tmp_path, optimizer, wrong):
    training = Training(optimizer=optimizer)
    training.steps(0, 1)
    groups = training.groups()
    kept = groups["optimizer"]
    if not kept and wrong != "extra":
        assert optimizer in ("sgd", "nt-asgd")
        return
    name = "layers.9.weight_hh/exp_avg" if wrong == "extra" else sorted(kept)[-1]
    if wrong == "missing":
        del kept[name]
    else:
        kept[name] = np.zeros((7, 7), np.float32)
    run = RunDirectory.create(tmp_path / "run")
    checkpoints.save(run, 1, groups, {"step": 1})
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        checkpointing.restore(checkpoints.load(run, "last"), *training.parts())


def test_going_back_forgets_what_the_optimiser_and_the_averages_gathered(tmp_path):
    """From a state without any: before the first step, or before an average began."""
    training = Training(rule=ExponentialAverage(0.5))
    run = saved(training, 0, tmp_path / "run")
    training.steps(0, 2)
    wanted = training.groups()
    checkpointing.restore(checkpoints.load(run, "last"), *training.parts())
    assert training.averages.values is None and not training.groups()["optimizer"]
    training.steps(0, 2)
    for group, arrays in training.groups().items():
        assert all(np.array_equal(wanted[group][name], array) for name, array in arrays.items())
