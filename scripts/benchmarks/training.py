"""A whole training step, against the plain PyTorch way, on a CPU or a GPU."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.compare import Result, compare, seconds
from benchmarks.plain import CELLS, PlainModel, detached
from charlm.draws import Draws
from charlm.model.cells.base import make_cell
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import Grammar
from charlm.training import memory, precision
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.optimizers import adamw
from charlm.training.ranks import Ranks
from charlm.training.step import gradient, update
from charlm.training.vocabulary_sample import VocabularySample, inclusion

Step = Callable[[int], None]  # a training step, by its number

# Of the product that the share is of: on each kind of device large enough to be its fastest.
_PRODUCT = {"cpu": 2048, "cuda": 8192}
_PRODUCT_TRIES = 5


def rows(quick: bool, device: str = "cpu") -> Iterator[Result]:
    """Every figure of this kind."""
    steps, n = (2, 3) if quick else (4, 7)
    if device == "cuda":
        steps *= 4
    yield training_step("lstm", 1, 384, 65, 32, 32, 4 * steps, n, device)
    for cell in CELLS:
        yield training_step(cell, 2, 512, 65, 64, 64, steps, n, device)
    yield training_step("lstm", 2, 200, 33_278, 20, 35, steps, n, device)
    if device == "cuda":
        yield training_step("lstm", 2, 1024, 65, 256, 128, steps, n, device)
        yield training_step("lstm", 3, 1152, 33_278, 80, 70, steps, n, device)


def free_grammar(vocabulary: int) -> Grammar:
    """One state in which every token may stand."""
    return Grammar(
        np.zeros((1, vocabulary), np.uint8),
        np.ones((1, vocabulary), np.bool_),
        np.zeros(1),
        np.full((1, vocabulary), 1 / vocabulary),
    )


def training_step(
    cell: str,
    layers: int,
    hidden: int,
    vocabulary: int,
    batch: int,
    bptt: int,
    steps: int,
    n: int,
    device: str = "cpu",
) -> Result:
    """A whole step: forward, backward, clipping, update; locked and recurrent dropout on."""
    shape = Shape(cell, layers, hidden, vocabulary, batch, bptt)
    step, plain_step = our_step(shape, device), their_step(shape, device)
    before = product_rate(device)
    what = f"training step, {cell} {layers} x {hidden}, {batch} streams, T {bptt}, V {vocabulary:,}"
    found = compare(
        what, "tokens/s", steps * batch * bptt,
        some(step, steps, device), some(plain_step, steps, device), n, ready=ready(step),
    )  # fmt: skip
    rate = max(before, product_rate(device))
    return replace(found, share=found.charlm * shape.operations / rate)


def product_rate(device: str) -> float:
    """Operations a second of a large matrix product, in the precision that training takes."""
    dtype = torch.bfloat16 if precision.probe(device).best == "bf16" else torch.float32
    n = _PRODUCT[device]
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(0)).to(device, dtype)

    def run() -> None:
        a @ a
        synchronise(device)

    run()
    return 2 * n**3 / min(seconds(run) for _ in range(_PRODUCT_TRIES))


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def some(step: Step, steps: int, device: str = "cpu") -> Callable[[], None]:
    """So many steps, from number 0."""

    def run() -> None:
        for number in range(steps):
            step(number)
        synchronise(device)

    return run


def ready(step: Step) -> Callable[[bool], None]:
    """Memory as a run of charlm has it after its first step; the plain way as it comes."""

    def prepare(ours: bool) -> None:
        memory.keep(ours)
        if ours:
            step(0)

    return prepare


class Shape(NamedTuple):
    """What a step is of."""

    cell: str
    layers: int
    hidden: int
    vocabulary: int
    batch: int
    bptt: int
    cutoffs: tuple[int, ...] = ()  # of an adaptive softmax

    @property
    def operations(self) -> float:
        """Of the matrix products for one token, there and back, with all logits."""
        gates, one = make_cell(self.cell).gates, self.hidden
        return 6.0 * one * (self.layers * gates * 2 * one + self.vocabulary)

    def batches(self) -> StreamBatches:
        """Windows of a text in which the n-th token is seen 1/n times as often as the first."""
        chances = 1 / np.arange(1, self.vocabulary + 1)
        places = np.random.default_rng(0).random(200_000) * chances.sum()
        ids = np.searchsorted(chances.cumsum(), places).astype(np.uint32)
        grammar = free_grammar(self.vocabulary)
        begin = np.zeros(1, np.int64)
        return StreamBatches(ids, begin, 0, grammar, self.batch, self.bptt, 0.0, 1)


def our_step(shape: Shape, device: str = "cpu", sample: int | None = None) -> Step:
    """charlm's step number n; sample: of how many tokens a step learns, None: of all."""
    cell, layers, hidden, vocabulary, *_, cutoffs = shape
    softmax = "adaptive" if cutoffs else "full"
    architecture = Architecture(
        vocabulary, cell, layers, hidden, hidden, False, softmax=softmax, cutoffs=cutoffs
    )
    model = LanguageModel(architecture)
    model.initialise("orthogonal", Draws(1, 0)).to(device)
    if precision.probe(device).best == "bf16":
        model.precision = torch.bfloat16
    rates = DropoutRates(input=0.2, inter_layer=0.2, output=0.2, temporal=0.2)
    batches, drawn = shape.batches(), None
    if sample is not None:
        counts = np.bincount(batches.ids, minlength=vocabulary)
        r = inclusion(counts, np.zeros(vocabulary, np.bool_), sample)
        drawn = VocabularySample(r, 1, model.device)
    task = LanguageModelling(model, batches, rates, 1, sample=drawn)
    optimizer = adamw(model.dense(), 1e-3, 0.1)
    parameters = list(model.parameters())

    def step(number: int) -> None:
        gradient(task, parameters, optimizer, 1.0, number, Ranks())
        update(optimizer, 1e-3)

    return step


def their_step(shape: Shape, device: str = "cpu") -> Step:
    """The plain way's step number n; the first begins anew."""
    model = PlainModel(shape.vocabulary, shape.hidden, shape.layers, shape.cell, shape.cutoffs)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches, carried = shape.batches(), [None]

    def step(number: int) -> None:
        window = batches.window(number)
        optimizer.zero_grad()
        ids, targets = window.inputs.to(device), window.targets.to(device)
        loss, state = model.loss(ids, targets, carried[0] if number else None)
        carried[0] = detached(state)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def profile(device: str = "cpu") -> Iterator[tuple[str, str]]:
    """Where a step goes: a title and torch's table of its operations, for each network."""
    shapes = [Shape(cell, 2, 512, 65, 64, 64) for cell in CELLS]
    for shape in [*shapes, Shape("lstm", 2, 200, 33_278, 20, 35)]:
        step = our_step(shape, device)
        step(0)
        with torch.profiler.profile() as found:
            step(1)
            synchronise(device)
        table = found.key_averages().table(
            sort_by=f"self_{device}_time_total", row_limit=15, max_name_column_width=36
        )
        cell, layers, hidden, vocabulary, batch, bptt, _ = shape
        yield f"{cell} {layers} x {hidden}, {batch} streams, T {bptt}, V {vocabulary:,}", table
