"""The weights of a stored model: complete, well-shaped, finite, and as its configuration says."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import Config
from charlm.errors import RunError
from charlm.model.cells.base import Cell, make_cell
from charlm.model.cluster_ranks import RANKS, cluster_size, cutoffs_of
from charlm.settings import AUTO

Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, npt.NDArray[np.floating[Any]]]  # by the names of model/language_model.py


def checked_cell(config: Config, weights: Weights) -> Cell:
    """The cell of a run's resolved configuration.

    RunError where the weights are not those of such a network.
    """
    m = config.model
    cell = make_cell(
        m.cell,
        nonlinearity=None if m.nonlinearity == AUTO else m.nonlinearity,
        context=None if m.context == AUTO else m.context,
    )
    table = weights.get("ngrams.weight")
    sizes = hidden_sizes(cell, weights, m.bias)
    last = m.hidden_size if m.last_hidden_size == AUTO else m.last_hidden_size
    shape = {
        "layers": (len(sizes), m.layers),
        "hidden sizes": (sizes, [m.hidden_size] * (m.layers - 1) + [last]),
        "embedding size": (weights["embedding.weight"].shape[1], m.embedding_size),
        "tied weights": (
            not {"decoder.weight", "decoder.head.weight"} & set(weights),
            m.tie_weights,
        ),
        "cutoffs": (cutoffs_of(weights), config.cutoffs),
        "rows of n-grams": (1 if table is None else table.shape[0], config.ngram_rows),
        "n-grams": (table is not None, config.ngram_order > 1),
    }
    for name, (found, wanted) in shape.items():
        if found != wanted:
            raise _damaged(f"The weights have {name} {found}, and the configuration has {wanted}")
    return cell


def hidden_sizes(cell: Cell, weights: Weights, bias: bool) -> list[int]:
    """Hidden size of each layer of complete, well-shaped, finite weights; RunError otherwise."""
    sizes: list[int] = []
    for name in ("embedding.weight", "layers.0.weight_ih"):
        if name not in weights or weights[name].ndim != 2:
            raise _damaged(f"The model has no matrix {name}")
    vocabulary, embedding = weights["embedding.weight"].shape
    shapes: Shapes = {"embedding.weight": (vocabulary, embedding)}
    below = embedding
    sized_by = "weight_hh" if cell.recurrent else "weight_ih"
    while (name := f"layers.{len(sizes)}.{sized_by}") in weights:
        layer, shape = f"layers.{len(sizes)}", weights[name].shape or (0,)
        hidden = shape[-1] if cell.recurrent else shape[0] // cell.gates
        rows = cell.gates * hidden
        shapes[f"{layer}.weight_ih"] = (rows, below)
        if cell.recurrent:
            shapes[name] = (rows, hidden)
        for which in ("bias_ih", "bias_hh") if bias else ():
            if cell.recurrent or which == "bias_ih":
                shapes[f"{layer}.{which}"] = (rows,)
        sizes.append(hidden)
        below = hidden
    if cutoffs := cutoffs_of(weights):
        shapes |= _of_clusters(vocabulary, below, cutoffs)
    else:
        if "decoder.weight" in weights:
            shapes["decoder.weight"] = (vocabulary, below)
        elif embedding != below:
            shapes["projection.weight"] = (embedding, below)
        shapes["decoder.bias"] = (vocabulary,)
    if "ngrams.weight" in weights:
        rows = (weights["ngrams.weight"].shape or (0,))[0]
        if rows & (rows - 1):
            raise _damaged(f"ngrams.weight has {rows} rows; needed: a power of two")
        shapes |= {"ngrams.weight": (rows, embedding), "ngrams.codes": (vocabulary,)}

    dtype = weights["embedding.weight"].dtype
    if dtype not in (np.float32, np.float64):
        raise _damaged(f"embedding.weight is {dtype}; needed: float32")
    if unknown := sorted(set(weights) - set(shapes)):
        raise _damaged(f"The model has a tensor {unknown[0]}, which a {cell.name} does not have")
    for name, shape in shapes.items():
        if name not in weights:
            raise _damaged(f"The model has no tensor {name}; needed: shape {shape}")
        tensor = weights[name]
        if tensor.shape != shape:
            raise _damaged(f"{name} has the shape {tensor.shape}; needed: {shape}")
        if tensor.dtype != dtype:
            raise _damaged(f"{name} is {tensor.dtype}; needed: {dtype}, as the others are")
        if not np.isfinite(tensor).all():
            raise _damaged(f"{name} holds numbers that are not finite")
    return sizes


def _of_clusters(vocabulary: int, size: int, cutoffs: tuple[int, ...]) -> Shapes:
    """What an adaptive softmax after `size` units has (`model.adaptive_softmax`)."""
    head = cutoffs[0] + len(cutoffs)
    found: Shapes = {"decoder.head.weight": (head, size), "decoder.head.bias": (head,)}
    for number, (begin, end) in enumerate(pairwise([*cutoffs, vocabulary]), start=1):
        reduced = cluster_size(size, number)
        found[f"decoder.tail.{number - 1}.0.weight"] = (reduced, size)
        found[f"decoder.tail.{number - 1}.1.weight"] = (end - begin, reduced)
    return found | {RANKS: (vocabulary,)}


def _damaged(what: str) -> RunError:
    return RunError(what, "Restore the run from a copy, or train again.")
