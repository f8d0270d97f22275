"""Batches of whole texts of like length, a pure function of (texts, seed, step).

Every epoch each text is once in a batch. Texts are put in the order of their lengths, each
stretched or shortened at random by up to a tenth, so that batches differ from epoch to epoch and
little is padded; and the batches are taken in random order. A text that would be alone in the last
one is put into the batch before: a head learns what tells texts of a batch apart (`model.head`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from charlm.draws import Draws
from charlm.model.whole_texts import Texts

_STRETCH = 0.1


class TextBatch(NamedTuple):
    """One step's texts, by their numbers (B,)."""

    numbers: np.ndarray
    epoch: float  # passes over the texts after this step
    share: float  # of a full batch


def cuts(texts: int, batch_size: int) -> range:
    """Where all batches of an epoch but the first begin, in the order of lengths."""
    return range(batch_size, texts - 1, batch_size)


@dataclass(frozen=True, eq=False)
class TextBatches:
    """The batches of N texts with these lengths (N,)."""

    lengths: np.ndarray
    batch_size: int
    seed: int

    @property
    def per_epoch(self) -> int:
        return 1 + len(cuts(len(self.lengths), self.batch_size))

    def batch(self, step: int) -> TextBatch:
        """The batch of step 0, 1, 2, ..."""
        epoch, index = divmod(step, self.per_epoch)
        numbers = _order(self, epoch)[index]
        return TextBatch(numbers, (step + 1) / self.per_epoch, len(numbers) / self.batch_size)

    def padding(self, epoch: int = 0) -> float:
        """The share of an epoch's time steps that are behind the end of a text."""
        padded = sum(len(n) * int(self.lengths[n].max()) for n in _order(self, epoch))
        return 1 - int(self.lengths.sum()) / padded


@lru_cache(maxsize=4)
def _order(batches: TextBatches, epoch: int) -> list[np.ndarray]:
    """The numbers of each batch of an epoch."""
    draw = Draws(batches.seed, epoch).numpy("text batches")
    count = len(batches.lengths)
    stretched = batches.lengths * draw.uniform(1 - _STRETCH, 1 + _STRETCH, count)
    begins = cuts(count, batches.batch_size)
    parts = np.split(np.argsort(stretched, kind="stable"), begins)
    return [parts[place] for place in draw.permutation(len(parts))]


def side_by_side(texts: Sequence[np.ndarray], filling: int) -> Texts:
    """Texts of ids, one at least each, as a batch; `filling`: the id behind their ends."""
    lengths = np.array([len(text) for text in texts])
    ids = np.full((lengths.max(), len(texts)), filling, np.int64)
    for column, text in enumerate(texts):
        ids[: len(text), column] = text
    return Texts(torch.from_numpy(ids), torch.from_numpy(lengths))
