"""What this machine is good at: bf16 matrix products or not, how many threads.

On server CPUs with bf16 units they run at four to five times the fp32 rate; on others the
library emulates them, several times slower than fp32. So it is tried.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

MOST_THREADS = torch.get_num_threads()  # that the machine, or whoever set it, allows
# Streams, hidden units and gates: the shape of a recurrent product. That of a GPU is larger, since
# it does a small one in less time than it takes to start it, in either precision.
_SHAPES = {"cpu": (32, 512, 4), "cuda": (256, 2048, 4)}
_SECONDS = 0.03  # of each try: the whole probe stays under 0.3 s


@dataclass(frozen=True)
class ProductRates:
    """Floating-point operations a second (x 1e9) of the recurrent product."""

    fp32: float
    bf16: float
    bf16_right: bool

    @property
    def best(self) -> str:
        """bf16 where it is right and at least a fifth faster."""
        return "bf16" if self.bf16_right and self.bf16 > 1.2 * self.fp32 else "fp32"

    @property
    def reason(self) -> str:
        """Why that one, with the rates."""
        if not self.bf16_right:
            return "bf16 products are wrong on this machine"
        share = self.bf16 / max(self.fp32, 1e-9)
        return (
            f"bf16 products run at {share:.1f} times the rate of fp32, and are "
            f"{'taken' if self.best == 'bf16' else 'not taken'}: 1.2 times is asked for"
        )


def probe(device: str = "cpu") -> ProductRates:
    """Measure both, interleaved and best of three, so that a busy moment does not decide."""
    generator = torch.Generator().manual_seed(0)
    streams, hidden, gates = _SHAPES[device]
    a = torch.randn(streams, hidden, generator=generator).to(device)
    b = torch.randn(hidden, gates * hidden, generator=generator).to(device)
    narrow_a, narrow_b = a.bfloat16(), b.bfloat16()
    exact = narrow_a.float() @ narrow_b.float()
    error = ((narrow_a @ narrow_b).float() - exact).abs().max() / exact.abs().max()
    rates = {"fp32": 0.0, "bf16": 0.0}
    for _ in range(3):
        rates["fp32"] = max(rates["fp32"], _rate(a, b))
        rates["bf16"] = max(rates["bf16"], _rate(narrow_a, narrow_b))
    # bf16 keeps 8 bits: a rounded result is off by at most 2^-8 of the largest entry.
    return ProductRates(rates["fp32"], rates["bf16"], bool(error <= 2**-8))


def fastest_threads(most: int) -> int:
    """`most`, or half as many where those are faster at this moment.

    On a machine that is busy otherwise, every product waits for the thread that is not running:
    two threads beside one other process were seen at a tenth of the speed of one thread.
    """
    if most == 1:
        return 1
    rates = {}
    for threads in {most, max(1, most // 2)}:
        with set_threads(threads):
            found = probe()
        rates[threads] = max(found.fp32, found.bf16)
    return max(rates, key=lambda threads: rates[threads])


@contextmanager
def set_threads(threads: int | None) -> Iterator[None]:
    """So many threads while the block lasts; None changes nothing."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rate(a: torch.Tensor, b: torch.Tensor) -> float:
    def synchronise() -> None:
        if a.is_cuda:
            torch.cuda.synchronize()

    a @ b
    synchronise()
    begin = time.perf_counter()
    count = 0
    while time.perf_counter() - begin < _SECONDS:
        for _ in range(4):
            a @ b
        count += 4
    synchronise()
    operations = 2 * a.shape[0] * a.shape[1] * b.shape[1] * count
    return operations / (time.perf_counter() - begin) / 1e9
