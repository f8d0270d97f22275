"""A whole training step, against the plain PyTorch way."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from benchmarks.compare import Result, compare
from benchmarks.plain import CELLS, PlainModel, detached
from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import Grammar
from charlm.training import memory, precision
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling
from charlm.training.optimizers import adamw
from charlm.training.ranks import Ranks
from charlm.training.step import gradient, update


def rows(quick: bool) -> Iterator[Result]:
    """Every figure of this kind."""
    steps, n = (2, 3) if quick else (4, 7)
    yield training_step("lstm", 1, 384, 65, 32, 32, 4 * steps, n)
    for cell in CELLS:
        yield training_step(cell, 2, 512, 65, 64, 64, steps, n)
    yield training_step("lstm", 2, 200, 33_278, 20, 35, steps, n)


def free_grammar(vocabulary: int) -> Grammar:
    """One state in which every token may stand."""
    return Grammar(
        np.zeros((1, vocabulary), np.uint8),
        np.ones((1, vocabulary), np.bool_),
        np.zeros(1),
        np.full((1, vocabulary), 1 / vocabulary),
    )


def training_step(
    cell: str, layers: int, hidden: int, vocabulary: int, batch: int, bptt: int, steps: int, n: int
) -> Result:
    """A whole step: forward, backward, clipping, update; locked and recurrent dropout on."""
    batches, step = our_step(cell, layers, hidden, vocabulary, batch, bptt)

    def ready(ours: bool) -> None:
        """Memory as a run of charlm has it after its first step; the plain way as it comes."""
        memory.keep(ours)
        if ours:
            step(0)

    def ours() -> None:
        for number in range(steps):
            step(number)

    plain_model = PlainModel(vocabulary, hidden, layers, cell)
    plain_optimizer = torch.optim.Adam(plain_model.parameters(), lr=1e-3)

    def plain() -> None:
        state = None
        for step in range(steps):
            window = batches.window(step)
            plain_optimizer.zero_grad()
            logits, state = plain_model(window.inputs, state)
            state = detached(state)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain_model.parameters(), 1.0)
            plain_optimizer.step()

    what = f"training step, {cell} {layers} x {hidden}, {batch} streams, T {bptt}, V {vocabulary:,}"
    return compare(what, "tokens/s", steps * batch * bptt, ours, plain, n, ready=ready)


def our_step(
    cell: str, layers: int, hidden: int, vocabulary: int, batch: int, bptt: int
) -> tuple[StreamBatches, Callable[[int], None]]:
    """charlm's step number n, and the windows that it reads."""
    ids = np.random.default_rng(0).integers(0, vocabulary, 200_000).astype(np.uint32)
    model = LanguageModel(Architecture(vocabulary, cell, layers, hidden, hidden, False))
    model.initialise("orthogonal", Draws(1, 0))
    if precision.probe().best == "bf16":
        model.precision = torch.bfloat16
    grammar = free_grammar(vocabulary)
    batches = StreamBatches(ids, np.zeros(1, np.int64), 0, grammar, batch, bptt, 0.0, 1)
    rates = DropoutRates(input=0.2, inter_layer=0.2, output=0.2, temporal=0.2)
    task = LanguageModelling(model, batches, rates, 1)
    optimizer = adamw(model.named_parameters(), 1e-3, 0.1)
    parameters = list(model.parameters())

    def step(number: int) -> None:
        gradient(task, parameters, optimizer, 1.0, number, Ranks())
        update(optimizer, 1e-3)

    return batches, step


def profile() -> Iterator[tuple[str, str]]:
    """Where a step goes: a title and torch's table of its operations, for each network."""
    shapes = [(cell, 2, 512, 65, 64, 64) for cell in CELLS] + [("lstm", 2, 200, 33_278, 20, 35)]
    for shape in shapes:
        _, step = our_step(*shape)
        step(0)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            step(1)
        table = found.key_averages().table(
            sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=36
        )
        cell, layers, hidden, vocabulary, batch, bptt = shape
        yield f"{cell} {layers} x {hidden}, {batch} streams, T {bptt}, V {vocabulary:,}", table
