"""Every random choice is drawn from (seed, step, place), so no generator state need be saved.

A resumed run draws what the run never interrupted would have drawn, and what one place
draws does not depend on what other places do.
"""

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Draws:
    """The random choices of one step of one run."""

    seed: int
    step: int

    def _sequence(self, place: str) -> np.random.SeedSequence:
        return np.random.SeedSequence([self.seed, self.step, zlib.crc32(place.encode())])

    def numpy(self, place: str) -> np.random.Generator:
        """A NumPy generator of its own for `place`."""
        return np.random.Generator(np.random.Philox(self._sequence(place)))

    def torch(self, place: str) -> "torch.Generator":
        """A torch (CPU) generator of its own for `place`."""
        import torch

        seed = int(self._sequence(place).generate_state(1, np.uint64)[0])
        return torch.Generator().manual_seed(seed)
