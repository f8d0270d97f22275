"""Several processes that train one model, each on its share of the streams (`torchrun`).

Rank 0 is the process that everybody knows: it reads the text, decides, measures, saves and
speaks. The others hold a copy of the weights and of the optimiser, and do what it says
(`following`): a command is a few numbers that it sends to all. In a step every process makes the
gradient of its streams; these are added up, and every process takes the same step.

    command     what follows it
    START       the run's folder, which every process must see
    LOAD        the arrays of a checkpoint, to go on from
    STEP        the gradient of one step, summed over all; and the step, unless it diverged
    COLLECT     the carried state of each process, to rank 0
    END         nothing

`Ranks` itself is one process alone, to which all this is nothing.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from charlm import launched
from charlm.draws import Share
from charlm.errors import CharlmError, MachineError, UsageError
from charlm.runs.tensors import Tensors, decode, encode

Groups = Mapping[str, Tensors]

START, LOAD, STEP, COLLECT, END = range(5)
# Who is gone is seen by the closed connection; what is waited for may take as long as a text needs.
_PATIENCE = timedelta(days=30)
_LAST_WORDS = 3.0  # seconds


class Gone(MachineError):
    """One of the processes has ended while the others still train."""


class Command(NamedTuple):
    """What rank 0 says: one of the words above, the step and learning rate, a number of bytes."""

    word: int
    step: int = 0
    lr: float = 0.0
    size: int = 0


class Ranks:
    """One process alone: its share is the whole."""

    rank, size = 0, 1
    command = "charlm"  # what starts them

    def share(self, streams: int) -> Share:
        """Of this process. UsageError where there is not a stream for each."""
        if streams < self.size:
            raise UsageError(
                f"{self.size} processes and {streams} streams: each must have one",
                "Start fewer, or give a larger --batch-size (or more text).",
            )
        return Share.deal(streams, self.rank, self.size)

    def start(self, out: str) -> None:
        """The others build what the run in this folder is."""

    def load(self, groups: Groups, step: int) -> None:
        """The others go on from these arrays of a checkpoint."""

    def step(self, step: int, lr: float) -> None:
        """The others take this step, as the caller does now."""

    def summed(self, parameters: Sequence[nn.Parameter], nats: float) -> float:
        """The sum of `nats` over all; the gradients become sums too."""
        return nats

    def collected(self, carried: Mapping[str, Tensor], streams: int) -> Mapping[str, Tensor]:
        """The carried state of all streams, from that of each process."""
        return carried

    def end(self) -> None:
        """The others are done."""


class TorchRanks(Ranks):
    """Those that torch.distributed connects: gloo between CPUs, NCCL between GPUs.

    Gone as soon as one of them is.
    """

    def __init__(self) -> None:
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        self._dist = dist
        self._store, self.rank, self.size = next(rendezvous("env://"))
        backend = "gloo"
        if launched.local_rank() < torch.cuda.device_count():
            torch.cuda.set_device(launched.local_rank())
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(
            backend, store=self._store, rank=self.rank, world_size=self.size, timeout=_PATIENCE
        )
        self.command = f"torchrun --nproc-per-node {self.size} -m charlm"
        self._broken = False

    def start(self, out: str) -> None:
        self._send(START, out.encode())

    def load(self, groups: Groups, step: int) -> None:
        content = {name: encode(arrays) for name, arrays in groups.items()}
        sizes = json.dumps({name: len(part) for name, part in content.items()}).encode()
        self._send(LOAD, sizes, step)
        for part in content.values():
            self._bytes(part, len(part))

    def loaded(self, size: int) -> dict[str, Tensors]:
        """What `load` sends, on the other side."""
        sizes = json.loads(self.received(size))
        return {name: decode(self.received(length), Path(name)) for name, length in sizes.items()}

    def step(self, step: int, lr: float) -> None:
        self._tell(Command(STEP, step, lr))

    def summed(self, parameters: Sequence[nn.Parameter], nats: float) -> float:
        """One message for all gradients, with the loss at its end; views of it become the
        gradients. Sparse ones, which differ in size, have one each."""
        sparse = [p for p in parameters if p.grad is not None and p.grad.is_sparse]
        for parameter in sparse:
            assert parameter.grad is not None
            gradient = parameter.grad.cpu().coalesce()  # NCCL has no sums of sparse ones
            with self._reaching():
                self._dist.all_reduce(gradient)
            parameter.grad = gradient.to(parameter.device)
        parameters = [p for p in parameters if p.requires_grad and not any(p is s for s in sparse)]
        gradients = [_gradient(parameter).flatten() for parameter in parameters]
        flat = torch.cat([*gradients, gradients[0].new_tensor([nats])])
        with self._reaching():
            self._dist.all_reduce(flat)
        sizes = [len(gradient) for gradient in gradients]
        for parameter, part in zip(parameters, flat[:-1].split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        return float(flat[-1])

    def collected(self, carried: Mapping[str, Tensor], streams: int) -> Mapping[str, Tensor]:
        self._tell(Command(COLLECT))
        parts = {name: [part.cpu()] for name, part in carried.items()}
        for rank in range(1, self.size):
            count = len(Share.deal(streams, rank, self.size))
            for name, (own, *_) in parts.items():
                received = own.new_empty(count, *own.shape[1:])
                with self._reaching():
                    self._dist.recv(received, src=rank)
                parts[name].append(received)
        return {name: torch.cat(part) for name, part in parts.items()}

    def give(self, carried: Mapping[str, Tensor]) -> None:
        """What `collected` waits for, on the other side."""
        for part in carried.values():
            with self._reaching():
                self._dist.send(part.cpu().contiguous(), dst=0)

    def end(self) -> None:
        self._tell(Command(END))

    def next_command(self) -> Command:
        """What rank 0 says next."""
        word, step, lr, size = self._numbers(Command(END)).tolist()
        return Command(int(word), int(step), lr, int(size))

    def received(self, size: int) -> bytes:
        """So many bytes from rank 0."""
        return self._bytes(bytes(size), size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the connection: in good order where no process is in the middle of something."""
        with suppress(Exception):
            if self.rank == 0 and error is not None:
                self._store.set("told", "")
            elif error is not None and not isinstance(error, Gone):
                self._store.set("why", _reason(error))
            if self.rank == 0 and not self._broken and isinstance(error, CharlmError | None):
                self.end()
        with suppress(Exception):
            self._dist.destroy_process_group()

    def spoken_for(self) -> bool:
        """Whether another process says why this ended; if not, the caller is to say it."""
        end = time.monotonic() + _LAST_WORDS
        with suppress(Exception):
            while not self._store.check(["told"]):
                if time.monotonic() > end:
                    return bool(self._store.add("claimed", 1) > 1)
                time.sleep(0.05)
            return True
        return False

    def _send(self, word: int, content: bytes, step: int = 0) -> None:
        self._tell(Command(word, step=step, size=len(content)))
        self._bytes(content, len(content))

    def _tell(self, command: Command) -> None:
        self._numbers(command)

    def _numbers(self, command: Command) -> Tensor:
        numbers = torch.tensor(command, dtype=torch.float64)
        with self._reaching():
            self._dist.broadcast(numbers, src=0)
        return numbers

    def _bytes(self, content: bytes, size: int) -> bytes:
        if not size:
            return b""
        numbers = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        with self._reaching():
            self._dist.broadcast(numbers, src=0)
        return numbers.numpy().tobytes()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # of torch.distributed: a connection was closed
            self._broken = True
            why = ""
            with suppress(Exception):
                if self._store.check(["why"]):
                    why = f" ({self._store.get('why').decode()})"
            raise Gone(
                f"one of the {self.size} processes has ended{why}, and the others cannot go on "
                "without it",
            ) from error


@contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that torchrun started together, of which this is the first; else it alone."""
    if launched.size() == 1:
        yield Ranks()
    else:
        ranks = TorchRanks()
        with ranks:
            yield ranks


def require_device(name: str) -> None:
    """UsageError where there is not a GPU for each process of this machine."""
    if name == "cuda" and launched.local_rank() >= torch.cuda.device_count():
        raise UsageError(
            f"there are {torch.cuda.device_count()} GPUs here, and more processes",
            "Start as many as there are, or use --device cpu.",
        )


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _reason(error: BaseException) -> str:
    return error.what if isinstance(error, CharlmError) else type(error).__name__
