"""One vector for a text: its last output, their mean, the largest of each unit, or all three.

Texts of different lengths are read side by side, padded at the end, and chunk by chunk; what is
behind a text's end counts for nothing. So a text's vector is the same whatever it is read with.

    T time steps of a chunk, B texts, H hidden units, P parts of the vector
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Pooled(NamedTuple):
    """What is known of the outputs h_1 ... h_n of each text so far, in fp32 (or fp64)."""

    last: Tensor  # (B, H) h_n
    total: Tensor  # (B, H) h_1 + ... + h_n
    largest: Tensor  # (B, H) of each unit; -inf before the first

    @classmethod
    def nothing(cls, streams: int, size: int, like: Tensor) -> "Pooled":
        """Before the first chunk."""
        zeros = like.new_zeros(streams, size)
        return cls(zeros, zeros, torch.full_like(zeros, -torch.inf))

    def take_in(self, outputs: Tensor, left: Tensor) -> "Pooled":
        """With a chunk of outputs (T, B, H), of which left (B,) belong to the text.

        `left` may be below 0, or above T where the text goes on.
        """
        outputs = outputs.to(self.total.dtype)
        T = len(outputs)
        inside = (torch.arange(T, device=left.device).unsqueeze(1) < left).unsqueeze(2)
        here = (left > 0).unsqueeze(1)
        ends = (left.clamp(1, T) - 1).view(1, -1, 1).expand(1, -1, outputs.shape[2])
        return Pooled(
            torch.where(here, outputs.gather(0, ends)[0], self.last),
            self.total + torch.where(inside, outputs, 0.0).sum(0),
            torch.maximum(self.largest, torch.where(inside, outputs, -torch.inf).amax(0)),
        )


Pooling = Callable[[Pooled, Tensor], Tensor]  # with the lengths (B,): the vectors (B, P, H)


def last(pooled: Pooled, lengths: Tensor) -> Tensor:
    """h_n, as in the lecture."""
    return pooled.last.unsqueeze(1)


def mean(pooled: Pooled, lengths: Tensor) -> Tensor:
    """(h_1 + ... + h_n) / n."""
    return (pooled.total / lengths.unsqueeze(1)).unsqueeze(1)


def largest(pooled: Pooled, lengths: Tensor) -> Tensor:
    """max over t of h_t, unit by unit."""
    return pooled.largest.unsqueeze(1)


def concat(pooled: Pooled, lengths: Tensor) -> Tensor:
    """[h_n, maxpool, meanpool] (Howard & Ruder 2018, sec. 3.3)."""
    parts = [kind(pooled, lengths) for kind in (last, largest, mean)]
    return torch.cat(parts, dim=1)
