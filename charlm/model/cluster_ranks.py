"""How the tokens of an adaptive softmax are ranked and its weights laid out; over NumPy arrays.

Its torch side is `adaptive_softmax`, which says what it computes; writing (`generation`) and
going over to another vocabulary (`transfer`) need no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Weights = Mapping[str, npt.NDArray[Any]]

RANKS = "decoder.ranks"  # in the name of a tensor: of each token, which nobody learns
SHRINK = 4  # of each cluster's vectors against the one before: Grave et al. 2017, torch's default


def cluster_size(input_size: int, number: int) -> int:
    """The size of the vectors of cluster `number`, from 1."""
    return max(1, input_size // int(SHRINK**number))


def cutoffs_of(weights: Weights) -> tuple[int, ...]:
    """The ranks with which the clusters of stored weights begin; () where they have none."""
    sizes: list[int] = []
    while (name := f"decoder.tail.{len(sizes)}.1.weight") in weights:
        sizes.append((weights[name].shape or (0,))[0])
    head = weights.get("decoder.head.bias")
    if head is None or not sizes:
        return ()
    return tuple(accumulate([head.size - len(sizes), *sizes[:-1]]))


def unusual(legal: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(V,) the tokens that are legal in other states than most of those that can come first;
    legal (S, V)."""
    # The states in which a token is legal, as the bits of a number.
    codes = (legal.astype(np.uint64) << np.arange(len(legal), dtype=np.uint64)[:, None]).sum(axis=0)
    kinds, counts = np.unique(codes[legal[0]], return_counts=True)
    return np.asarray(codes != kinds[counts.argmax()])


def ranked(
    order: npt.NDArray[np.number[Any]], legal: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """(V,) the rank of each token: the unusual first, then by `order` (V,) rising, then by id."""
    by_rank = np.lexsort((order, ~unusual(legal)))
    ranks = np.empty(len(order), np.float32)
    ranks[by_rank] = np.arange(len(order))
    return ranks


def clusters_for(
    weights: Weights, rows: npt.NDArray[np.int64], legal: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[Any]]:
    """Ranks and rows of an adaptive softmax for other tokens, in clusters that begin with the same
    ranks.

    rows (V,): which token of the old ones each is, or -1; legal (S, V). Those that are known come
    in their old order, before the new ones. A token that is in the cluster that it was in keeps
    its row there, and the others begin at the mean of the cluster's rows.
    """
    cutoffs, old_ranks = cutoffs_of(weights), weights[RANKS].astype(np.int64)
    ranks = ranked(np.where(rows >= 0, old_ranks[rows], len(old_ranks)), legal)
    by_rank = np.argsort(ranks)
    before = np.where(rows >= 0, old_ranks[rows], -1)[by_rank]  # the old rank of each new one
    found: dict[str, npt.NDArray[Any]] = {RANKS: ranks}
    for name, begin, end in _spans(cutoffs, len(old_ranks)):
        last = len(rows) if end == len(old_ranks) else end
        places = before[begin:last]
        kept = (begin <= places) & (places < end)
        old = weights[name]
        new = np.empty((last - begin, *old.shape[1:]), old.dtype)
        new[kept] = old[places[kept] - begin]
        new[~kept] = old[: end - begin].mean(axis=0, dtype=np.float64)
        # After the tokens of the head come the clusters, which stay.
        found[name] = np.concatenate([new, old[end - begin :]])
    return found


def _spans(cutoffs: Sequence[int], vocabulary: int) -> Iterator[tuple[str, int, int]]:
    """Each array with a row a token, and the ranks of its tokens."""
    for name in ("weight", "bias"):
        yield f"decoder.head.{name}", 0, cutoffs[0]
    for number, span in enumerate(pairwise([*cutoffs, vocabulary])):
        yield f"decoder.tail.{number}.1.weight", *span
