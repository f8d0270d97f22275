"""Training state <-> the arrays of a checkpoint: weights, optimiser, carried state."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charlm.errors import RunError
from charlm.model.language_model import Architecture, LanguageModel
from charlm.runs.checkpoint import Checkpoint
from charlm.runs.tensors import check_tensors
from charlm.training.loop import Task

Arrays = dict[str, np.ndarray]


def arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    """Named tensors as NumPy arrays on the CPU."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def weights_of(model: nn.Module) -> Arrays:
    return arrays_of(dict(model.named_parameters()))


def groups(model: nn.Module, optimizer: torch.optim.Optimizer, task: Task) -> dict[str, Arrays]:
    """What `runs.checkpoint.save` takes."""
    return {
        "weights": weights_of(model),
        "optimizer": _optimizer_arrays(model, optimizer),
        "carried": arrays_of(task.carried()),
    }


def check_weights(
    architecture: Architecture, weights: Mapping[str, np.ndarray], where: str
) -> None:
    """RunError naming a tensor that the architecture does not have so; allocates nothing."""
    with torch.device("meta"):
        model = LanguageModel(architecture)
    expected = {
        name: (tuple(parameter.shape), np.dtype(np.float32))
        for name, parameter in model.named_parameters()
    }
    check_tensors(weights, expected, where)


def put_weights(model: LanguageModel, weights: Mapping[str, np.ndarray], where: str) -> None:
    """Copy stored weights into the model; RunError naming a tensor that does not fit."""
    check_weights(model.architecture, weights, where)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))


def restore(
    checkpoint: Checkpoint, model: LanguageModel, optimizer: torch.optim.Optimizer, task: Task
) -> None:
    """Put everything back as it was when the checkpoint was saved. RunError if it does not fit."""
    where = str(checkpoint.path)
    put_weights(model, checkpoint.groups["weights"], where)
    carried = task.carried()
    stored = checkpoint.groups["carried"]
    expected = {name: (tuple(part.shape), np.dtype(np.float32)) for name, part in carried.items()}
    check_tensors(stored, expected, where)
    device = next(model.parameters()).device
    task.restore({name: torch.from_numpy(array).to(device) for name, array in stored.items()})
    _put_optimizer(model, optimizer, checkpoint.groups["optimizer"], where)


def _optimizer_arrays(model: nn.Module, optimizer: torch.optim.Optimizer) -> Arrays:
    """`<parameter>/<what the optimiser keeps of it>` -> array."""
    tensors = {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    return arrays_of(tensors)


def _put_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    arrays: Mapping[str, np.ndarray],
    where: str,
) -> None:
    parameters = dict(model.named_parameters())
    for full_name, array in arrays.items():
        name, _, key = full_name.rpartition("/")
        parameter = parameters.get(name)
        if parameter is None or array.shape not in (tuple(parameter.shape), ()):
            raise RunError(
                f"{where}: the optimiser's {full_name} fits no weight of this model",
                "Start anew with --force, or restore the run from a copy.",
            )
        tensor: Any = torch.from_numpy(array)
        # A step counter stays on the CPU; averages go where the weight is.
        optimizer.state[parameter][key] = tensor.to(parameter.device) if array.shape else tensor
