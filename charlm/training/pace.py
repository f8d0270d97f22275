"""How fast a recurrent layer learns on this machine, by trying it.

All recurrent weights are read at every time step, there and back. Where they do not fit the caches
a layer runs at a fraction of the rate of a narrower one (scripts/LOG.md, "Wide layers"), and where
that begins no one can say beforehand.
"""

import math
import time
from dataclasses import dataclass

import torch

from charlm.model.cells.base import Cell
from charlm.model.stack import RecurrentStack
from charlm.training import memory

_SECONDS = 0.06  # of a try, about, at the rate that is supposed
_FEWEST, _MOST = 8, 32  # time steps of a try
# A wider layer, or more streams, are supposed to run as these: they would take long to try.
_WIDEST, _MOST_STREAMS = 2048, 64
_TRIES = 4  # a moment may be taken by other work


def operations(cell: Cell, hidden: int, inputs: int) -> float:
    """Of the matrix products of a layer for one token, there and back: 6 G H (I + H)."""
    return 6.0 * cell.gates * hidden * (inputs + (hidden if cell.recurrent else 0))


@dataclass(frozen=True)
class Pace:
    """Tries layers as training runs them.

    rate: of a matrix product, 1e9 operations a second, from which it follows how long to try.
    processes: that share the streams, each on a core or a device of its own.
    """

    device: str
    precision: str
    rate: float
    processes: int = 1
    kernel: str = "auto"

    def __call__(self, cell: Cell, hidden: int, inputs: int, streams: int) -> float:
        """1e9 operations a second of all processes, there and back; the best of some tries."""
        width, below = min(hidden, _WIDEST), min(inputs, _WIDEST)
        streams = max(1, min(_MOST_STREAMS, streams // self.processes))
        a_step = operations(cell, width, below) * streams
        steps = int(min(_MOST, max(_FEWEST, self.rate * 1e9 * _SECONDS / a_step)))
        layer, generator = RecurrentStack(cell, below, (width,)), torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in layer.parameters():
                weight.normal_(0, 1 / math.sqrt(width), generator=generator)
        layer.to(self.device)
        x = torch.randn(steps, streams, below, generator=generator).to(self.device)
        memory.keep()
        try:
            self._seconds(layer, x)  # what is made once, is made now
            seconds = min(self._seconds(layer, x) for _ in range(_TRIES))
        finally:
            memory.keep(False)
        return self.processes * a_step * steps / seconds / 1e9

    def _seconds(self, layer: RecurrentStack, x: torch.Tensor) -> float:
        precision = torch.bfloat16 if self.precision == "bf16" else torch.float32
        begin = time.perf_counter()
        state = layer.empty_state(x.shape[1])
        y, _ = layer(x.requires_grad_(), state, kernel=self.kernel, precision=precision)
        y.float().sum().backward()
        if x.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begin
