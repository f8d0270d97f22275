"""From what the last layer of a stored model puts out to logits, over NumPy arrays.

`model.softmax` and `model.adaptive_softmax` say what is computed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.numpy_ops import NumpyOperations
from charlm.generation.weights import Weights
from charlm.model.cluster_ranks import RANKS, cutoffs_of

Floats = npt.NDArray[np.floating[Any]]

_ops = NumpyOperations()


class FullOutput:
    """W (P y) + b: W is the embedding, and P there, only where weights are tied."""

    def __init__(self, weights: Weights) -> None:
        projection = weights.get("projection.weight")
        self._projection = None if projection is None else _ops.prepare(projection)
        self._weight = _ops.prepare(weights.get("decoder.weight", weights["embedding.weight"]))
        self._bias = weights["decoder.bias"]

    def logits(self, y: Floats) -> Floats:
        """y (N, H) -> (N, V)."""
        if self._projection is not None:
            y = _ops.linear(y, self._projection)
        found: Floats = _ops.linear(y, self._weight)
        found += self._bias
        return found


class AdaptiveOutput:
    """Frequent tokens by the head; those of a cluster y_cluster + log softmax(W_k (P_k y))."""

    def __init__(self, weights: Weights) -> None:
        prepare = _ops.prepare
        self._head, self._bias = (
            prepare(weights["decoder.head.weight"]),
            weights["decoder.head.bias"],
        )
        self._tail = [
            tuple(prepare(weights[f"decoder.tail.{number}.{part}.weight"]) for part in (0, 1))
            for number in range(len(cutoffs_of(weights)))
        ]
        self._ranks = weights[RANKS].astype(np.intp)  # (V,)

    def logits(self, y: Floats) -> Floats:
        """y (N, H) -> (N, V)."""
        head = _ops.linear(y, self._head)
        head += self._bias
        frequent = head.shape[1] - len(self._tail)
        parts = [head[:, :frequent]]
        for number, (reduce, weight) in enumerate(self._tail):
            z = _ops.linear(_ops.linear(y, reduce), weight)
            z -= z.max(axis=1, keepdims=True)
            z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
            z += head[:, frequent + number, None]
            parts.append(z)
        return np.asarray(np.concatenate(parts, axis=1)[:, self._ranks])


def output_of(weights: Weights) -> FullOutput | AdaptiveOutput:
    """The one that complete weights have."""
    return AdaptiveOutput(weights) if cutoffs_of(weights) else FullOutput(weights)
