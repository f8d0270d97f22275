"""Training state <-> the arrays of a checkpoint: weights, optimiser, carried state.

`weights` are what is evaluated and read by every verb: the averages where there are any, and
then `raw` has the weights that training goes on with.
"""

import copy
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from charlm.draws import Share
from charlm.runs.checkpoint import Checkpoint
from charlm.runs.tensors import check_tensors
from charlm.training.averaging import Averages
from charlm.training.row_adagrad import SideBySide
from charlm.training.step import Task

Arrays = dict[str, np.ndarray]


def arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    """Named tensors as NumPy arrays on the CPU."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def weights_of(model: nn.Module) -> Arrays:
    return arrays_of(dict(model.named_parameters()))


def groups(
    model: nn.Module, optimizer: torch.optim.Optimizer, averages: Averages, task: Task
) -> dict[str, Arrays]:
    """What `runs.checkpoint.save` takes."""
    raw = weights_of(model)
    found = {
        "weights": raw,
        "optimizer": _optimizer_arrays(model, optimizer),
        "carried": arrays_of(task.carried()),
    }
    if averages.values is None:
        return found
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    averaged = {
        names[id(parameter)]: value
        for parameter, value in zip(averages.parameters, averages.values, strict=True)
    }
    return found | {"weights": raw | arrays_of(averaged), "raw": raw}


class Architecture(Protocol):
    """What a network of our own is built from."""

    def build(self) -> nn.Module: ...


class Network(Protocol):
    """A network that knows what it was built from."""

    @property
    def architecture(self) -> Architecture: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


def check_weights(
    architecture: Architecture, weights: Mapping[str, np.ndarray], where: str
) -> None:
    """RunError naming a tensor that the architecture does not have so; allocates nothing."""
    with torch.device("meta"):
        model = architecture.build()
    expected = {
        name: (tuple(parameter.shape), np.dtype(np.float32))
        for name, parameter in model.named_parameters()
    }
    check_tensors(weights, expected, where)


def put_weights(model: Network, weights: Mapping[str, np.ndarray], where: str) -> None:
    """Copy stored weights into the model; RunError naming a tensor that does not fit."""
    check_weights(model.architecture, weights, where)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))


def restore(
    checkpoint: Checkpoint,
    model: Network,
    optimizer: torch.optim.Optimizer,
    averages: Averages,
    task: Task,
    share: Share | None = None,
) -> None:
    """Put everything back as it was when the checkpoint was saved. RunError if it does not fit.

    share: the streams that are here, of all those that the checkpoint holds the state of.
    """
    where = str(checkpoint.path)
    raw = checkpoint.groups.get("raw")
    put_weights(model, checkpoint.groups["weights"], where)
    averages.values = None
    if raw is not None:
        averages.values = [parameter.detach().clone() for parameter in averages.parameters]
        put_weights(model, raw, where)
    carried = task.carried()
    stored = {name: _here(part, share) for name, part in checkpoint.groups["carried"].items()}
    expected = {name: (tuple(part.shape), np.dtype(np.float32)) for name, part in carried.items()}
    check_tensors(stored, expected, where)
    device = next(parameter for _, parameter in model.named_parameters()).device
    task.restore({name: torch.from_numpy(array).to(device) for name, array in stored.items()})
    # Nothing is kept of a weight before it has been moved.
    expected = _kept(model, task.moved(checkpoint.step), optimizer)
    check_tensors(checkpoint.groups["optimizer"], expected, where)
    _put_optimizer(model, optimizer, checkpoint.groups["optimizer"])


def _here(part: np.ndarray, share: Share | None) -> np.ndarray:
    """The state of our streams, out of that of all; what has another number of them stays as it
    is, to be refused."""
    if share is None or part.shape[:1] != (share.total,):
        return part
    return part[share.begin : share.end]


def _optimizer_arrays(model: nn.Module, optimizer: torch.optim.Optimizer) -> Arrays:
    """`<parameter>/<what the optimiser keeps of it>` -> array."""
    tensors = {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    return arrays_of(tensors)


def _kept(
    model: Network, moved: Collection[str], optimizer: torch.optim.Optimizer
) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of everything that is kept of the weights `moved`, by its name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    for part in optimizer.optimizers if isinstance(optimizer, SideBySide) else [optimizer]:
        axes_of = _axes_kept(part)
        for parameter in (p for group in part.param_groups for p in group["params"]):
            if names[id(parameter)] in moved:
                for key, axes in axes_of.items():
                    shape = tuple(parameter.shape)[:axes]
                    found[f"{names[id(parameter)]}/{key}"] = shape, np.dtype(np.float32)
    return found


def _axes_kept(optimizer: torch.optim.Optimizer) -> dict[str, int | None]:
    """What an optimiser keeps of a matrix, seen by a step of a copy of it: one number (0), one
    for each row (1), or one for each weight (None)."""
    weight = nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.zeros(2, 3)
    probe = copy.copy(optimizer)
    probe.state = defaultdict(dict)
    probe.param_groups = [{**optimizer.param_groups[0], "params": [weight]}]
    probe.step()
    kept = probe.state[weight].items()
    return {key: None if part.shape == weight.shape else part.dim() for key, part in kept}


def _put_optimizer(
    model: Network, optimizer: torch.optim.Optimizer, arrays: Mapping[str, np.ndarray]
) -> None:
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    fused = [group["params"] for group in optimizer.param_groups if group.get("fused")]
    in_one_pass = {id(parameter) for group in fused for parameter in group}
    for full_name, array in arrays.items():
        name, _, key = full_name.rpartition("/")
        parameter = parameters[name]
        tensor = torch.from_numpy(array)
        # Averages are where the weight is; a step counter too where one pass reads all, else on
        # the CPU.
        if array.shape or id(parameter) in in_one_pass:
            tensor = tensor.to(parameter.device)
        optimizer.state[parameter][key] = tensor
