"""Every random choice is drawn from (seed, step, place), so no generator state need be saved.

A resumed run draws what the run never interrupted would have drawn, and what one place
draws does not depend on what other places do. A GPU draws its own numbers: those of a CPU
would have to be carried to it, which takes longer there than the step they are for.
"""

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch import device as Device


@dataclass(frozen=True)
class Share:
    """The streams `begin` ... `end` - 1 of the `total` of a batch: those that one process reads."""

    begin: int
    end: int
    total: int

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def part(self) -> float:
        """Of the whole batch."""
        return len(self) / self.total

    @classmethod
    def deal(cls, total: int, rank: int = 0, ranks: int = 1) -> "Share":
        """What the process `rank` of `ranks` reads: as many streams as the others, or one more."""
        return cls(total * rank // ranks, total * (rank + 1) // ranks, total)


@dataclass(frozen=True)
class Draws:
    """The random choices of one step of one run.

    `share`: only these streams are here, and what is drawn for each stream is what a process
    that reads them all would draw for it. None: they are all here. `part`: of one of several
    alike in the network. `begin`: the time at which this window of a text begins, for what is drawn
    anew at every time and not once for the text.
    """

    seed: int
    step: int
    share: Share | None = None
    part: str = ""
    begin: int = 0

    def of(self, part: str) -> "Draws":
        """Those of one part, whose places have the names that they have in every other."""
        return replace(self, part=f"{self.part}{part} ")

    def _sequence(self, place: str) -> np.random.SeedSequence:
        return np.random.SeedSequence(
            [self.seed, self.step, zlib.crc32((self.part + place).encode())]
        )

    def numpy(self, place: str) -> np.random.Generator:
        """A NumPy generator of its own for `place`."""
        return np.random.Generator(np.random.Philox(self._sequence(place)))

    def torch(self, place: str, device: "Device | str" = "cpu") -> "torch.Generator":
        """A torch generator of its own for `place`."""
        import torch

        seed = int(self._sequence(place).generate_state(1, np.uint64)[0])
        return torch.Generator(device).manual_seed(seed)

    def uniform(
        self,
        place: str,
        shape: tuple[int, ...],
        streams: int | None = None,
        device: "Device | str" = "cpu",
    ) -> "Tensor":
        """Numbers from [0, 1) in `shape`, whose axis `streams`, if any, counts streams."""
        import torch

        generator = self.torch(place, device)
        if streams is None or self.share is None:
            return torch.rand(shape, generator=generator, device=device)
        whole = [*shape]
        whole[streams] = self.share.total
        drawn = torch.rand(whole, generator=generator, device=device)
        return drawn.narrow(streams, self.share.begin, len(self.share))
