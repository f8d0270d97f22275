"""Speed, side by side with the plain PyTorch way, in one run, as ratios.

    python scripts/bench.py [--quick] [--jsonl FILE]

Each measurement takes charlm and the plain way in turn, several times; what counts is the
median of the ratios pair by pair, with the smallest and the largest, since absolute figures
drift with the load of the machine. "plain" is what every tutorial does: fp32, nn.LSTM,
nn.Dropout, cross-entropy, clipping, Adam; and nn.LSTM called for one step to generate.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from charlm.draws import Draws
from charlm.generation.decoder import Decoder
from charlm.model.cells.lstm import LSTM
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import Grammar
from charlm.training import gradients, precision
from charlm.training.batches import StreamBatches
from charlm.training.checkpointing import weights_of
from charlm.training.language_modelling import LanguageModelling
from charlm.training.optimizers import adamw


@dataclass(frozen=True)
class Result:
    """Units a second of both ways, and the ratio charlm / plain over the pairs of runs."""

    what: str
    unit: str
    charlm: float
    plain: float
    ratio: float
    ratio_least: float
    ratio_most: float


PLAIN_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "gru-cho": nn.GRU, "rnn": nn.RNN}


class PlainModel(nn.Module):
    """The language model of the tutorials. torch has no gru-cho: its own GRU stands beside it."""

    def __init__(self, vocabulary: int, hidden: int, layers: int, cell: str = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        dropout = 0.2 if layers > 1 else 0.0
        self.cells = PLAIN_CELLS[cell](hidden, hidden, layers, dropout=dropout)
        self.dropout = nn.Dropout(0.2)
        self.decoder = nn.Linear(hidden, vocabulary)

    def forward(self, ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        y, state = self.cells(self.dropout(self.embedding(ids)), state)
        return self.decoder(self.dropout(y)), state


def detached(state: Any) -> Any:
    """The state without its past, of one part or two."""
    return state.detach() if torch.is_tensor(state) else tuple(part.detach() for part in state)


def compare(
    what: str, unit: str, amount: float, ours: Callable[[], None], plain: Callable[[], None], n: int
) -> Result:
    """Time both in turn, n times after one warm-up each."""
    ours()
    plain()
    pairs = []
    for _ in range(n):
        pairs.append((_seconds(ours), _seconds(plain)))
    ratios = [b / a for a, b in pairs]
    return Result(
        what,
        unit,
        amount / statistics.median(a for a, _ in pairs),
        amount / statistics.median(b for _, b in pairs),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def _seconds(run: Callable[[], None]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


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
    ids = np.random.default_rng(0).integers(0, vocabulary, 200_000).astype(np.uint32)
    architecture = Architecture(vocabulary, cell, layers, hidden, hidden, False)
    model = LanguageModel(architecture)
    model.initialise("orthogonal", Draws(1, 0))
    if precision.probe().best == "bf16":
        model.precision = torch.bfloat16
    grammar = free_grammar(vocabulary)
    batches = StreamBatches(ids, np.zeros(1, np.int64), 0, grammar, batch, bptt, 0.0, 1)
    rates = DropoutRates(input=0.2, inter_layer=0.2, output=0.2, temporal=0.2)
    task = LanguageModelling(model, batches, rates, 1)
    optimizer = adamw(model.named_parameters(), 1e-3, 0.1)
    parameters = list(model.parameters())

    def ours() -> None:
        for step in range(steps):
            optimizer.zero_grad()
            task.loss(step).loss.backward()
            gradients.clip(parameters, 1.0)
            optimizer.step()

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
    return compare(what, "tokens/s", steps * batch * bptt, ours, plain, n)


def generation(layers: int, hidden: int, tokens: int, n: int) -> Result:
    """One stream, token by token; the token is the most probable one."""
    vocabulary = 96
    model = LanguageModel(Architecture(vocabulary, "lstm", layers, hidden, hidden, False))
    model.initialise("orthogonal", Draws(1, 0))
    decoder = Decoder(LSTM(), weights_of(model))
    plain_model = PlainModel(vocabulary, hidden, layers).eval()

    def ours() -> None:
        state, token = decoder.empty_state(1), 0
        for _ in range(tokens):
            logits, state = decoder.feed([token], state)
            token = int(logits[0].argmax())

    @torch.inference_mode()
    def plain() -> None:
        state, token = None, torch.zeros(1, 1, dtype=torch.long)
        for _ in range(tokens):
            logits, state = plain_model(token, state)
            token = logits[:, 0].argmax(1, keepdim=True)

    return compare(
        f"generation, one stream, LSTM {layers} x {hidden}", "tokens/s", tokens, ours, plain, n
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    parser.add_argument("--jsonl", type=Path, help="append each result to this file")
    arguments = parser.parse_args()
    n = 3 if arguments.quick else 7
    steps = 2 if arguments.quick else 4
    rates = precision.probe()
    results = [
        training_step("lstm", 1, 384, 65, 32, 32, 4 * steps, n),
        *(training_step(cell, 2, 512, 65, 64, 64, steps, n) for cell in PLAIN_CELLS),
        training_step("lstm", 2, 200, 33_278, 20, 35, steps, n),
        generation(2, 128, 400 * steps, n),
        generation(2, 512, 100 * steps, n),
    ]
    table = Table(
        title=f"{torch.get_num_threads()} threads; matrix products: fp32 {rates.fp32:.0f}, "
        f"bf16 {rates.bf16:.0f} GFLOP/s"
    )
    for heading in ("what", "unit", "charlm", "plain", "ratio", "spread"):
        table.add_column(heading)
    for r in results:
        spread = f"{r.ratio_least:.2f} .. {r.ratio_most:.2f}"
        table.add_row(
            r.what, r.unit, f"{r.charlm:,.0f}", f"{r.plain:,.0f}", f"{r.ratio:.2f}", spread
        )
        if arguments.jsonl:
            with arguments.jsonl.open("a") as file:
                file.write(json.dumps(asdict(r)) + "\n")
    Console().print(table)


if __name__ == "__main__":
    main()
