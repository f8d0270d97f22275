"""Which cells learn what lies T steps back: one symbol, noise, and at the end the symbol again.

    python scripts/long_dependencies.py [--out picture.svg] [--lengths 50 100 200] [--steps 400]

The copy task of Hochreiter & Schmidhuber (1997, sec. 5.4) with one symbol of eight: guessing is
right one time in eight. Gates begin so that they remember for about T steps (Tallec & Ollivier
2018); the network of relu begins with the identity (Le et al. 2015). Prints a table in Markdown:
the share of symbols that are right, and what of the gradient of the last loss reaches the state
before the first step, before and after training.
"""

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm.draws import Draws
from charlm.model.cells.base import make_cell
from charlm.model.stack import RecurrentStack
from charlm.report.drawing import legend, logarithmic, panels, style, write_picture
from charlm.training.gradients import clip

SYMBOLS, HIDDEN, STREAMS, LR = 8, 32, 32, 3e-3
FAINTEST = 1e-10  # in the picture: what is less stands there
# Name: (cell, its nonlinearity, how W_hh begins).
CELLS = {
    "sigmoid": ("rnn", "sigmoid", "orthogonal"),
    "tanh": ("rnn", "tanh", "orthogonal"),
    "identity relu": ("rnn", "relu", "identity"),
    "LSTM": ("lstm", None, "orthogonal"),
    "GRU": ("gru", None, "orthogonal"),
}


class Found(NamedTuple):
    """How one network did at one length."""

    right: float
    carried_before: float
    carried_after: float


class Network:
    """One layer of a cell over symbols and noise, and a softmax at the last step."""

    def __init__(self, name: str, length: int, seed: int) -> None:
        cell_name, nonlinearity, init = CELLS[name]
        cell = make_cell(cell_name, nonlinearity=nonlinearity)
        generator = Draws(seed, 0).torch(name)
        self.layers = RecurrentStack(cell, SYMBOLS + 1, [HIDDEN])
        (layer,) = self.layers
        layer.initialise(init, generator, cell.initial_bias(HIDDEN))
        self.decoder = nn.Linear(HIDDEN, SYMBOLS)
        with torch.no_grad():
            self.decoder.weight.normal_(0, HIDDEN**-0.5, generator=generator)
            self.decoder.bias.zero_()
            if cell_name in ("lstm", "gru"):
                # f of the LSTM and z of the GRU, the second part of both: 1 keeps the old.
                layer.bias_ih[HIDDEN : 2 * HIDDEN] = math.log(length)
            if cell_name == "lstm":  # and what is kept must not fill up: i is small
                layer.bias_ih[:HIDDEN] = -math.log(length)
        self.parameters = [*self.layers.parameters(), *self.decoder.parameters()]

    def loss(self, x: Tensor, symbols: Tensor, carried: bool = False) -> tuple[Tensor, float]:
        """The mean loss at the last step; `carried`: and |dL/dstate_0| / |dL/dh_T|."""
        state = tuple(
            tuple(part.requires_grad_(carried) for part in layer)
            for layer in self.layers.empty_state(x.shape[1])
        )
        y, _ = self.layers(x, state)
        loss = F.cross_entropy(self.decoder(y[-1]), symbols)
        if not carried:
            return loss, 0.0
        last, *first = torch.autograd.grad(loss, [y, *state[0]], retain_graph=True)
        return loss, math.sqrt(sum(float(g.square().sum()) for g in first)) / float(last.norm())

    @torch.no_grad()
    def right(self, x: Tensor, symbols: Tensor) -> float:
        y, _ = self.layers(x, self.layers.empty_state(x.shape[1]))
        return float((self.decoder(y[-1]).argmax(1) == symbols).float().mean())


def task(length: int, streams: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """x (T, B, S + 1): the symbol at the first step, noise in the last place at all others."""
    generator = Draws(seed, step).torch("task")
    symbols = torch.randint(SYMBOLS, (streams,), generator=generator)
    x = torch.zeros(length, streams, SYMBOLS + 1)
    x[0, torch.arange(streams), symbols] = 1
    x[1:, :, -1] = torch.rand(length - 1, streams, generator=generator)
    return x, symbols


def learn(name: str, length: int, steps: int, seed: int) -> Found:
    """Train one network, and see what it got right on sequences it has not seen."""
    network = Network(name, length, seed)
    held_out = task(length, 16 * STREAMS, seed, steps)
    before = network.loss(*held_out, carried=True)[1]
    optimizer = torch.optim.Adam(network.parameters, LR)
    for step in range(steps):
        optimizer.zero_grad()
        network.loss(*task(length, STREAMS, seed, step))[0].backward()
        clip(network.parameters, 1.0)
        optimizer.step()
    after = network.loss(*held_out, carried=True)[1]
    return Found(network.right(*held_out), before, after)


def table(found: dict[str, dict[int, Found]]) -> str:
    """Markdown: a row a cell, for each length the three figures."""
    lengths = list(next(iter(found.values())))
    lines = [
        "| cell | " + " | ".join(f"T = {length}: right; gradient" for length in lengths) + " |",
        "|---" * (1 + len(lengths)) + "|",
    ]
    for name, by_length in found.items():
        cells = [
            f"{one.right:.0%}; {one.carried_before:.1g} → {one.carried_after:.1g}"
            for one in by_length.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(found: dict[str, dict[int, Found]], out: Path) -> None:
    figure, (right, carried) = panels(
        [
            "symbols that come back right",
            f"of the gradient, left T steps back ({FAINTEST:g}: or less)",
        ]
    )
    with style():
        lines = []
        for by_length in found.values():
            lengths = list(by_length)
            lines += right.plot(lengths, [one.right for one in by_length.values()], marker="o")
            shares = [max(one.carried_before, FAINTEST) for one in by_length.values()]
            carried.plot(lengths, shares, marker="o")
        right.axhline(1 / SYMBOLS, linestyle=":", linewidth=1, color="#8a8f98")
        right.set_ylim(0, 1.05)
        logarithmic(carried)
        carried.set_ylim(FAINTEST / 3, 10)
        for axes in (right, carried):
            axes.set_xlabel("T")
            axes.set_xticks(list(next(iter(found.values()))))
        legend(carried, lines, list(found))
    write_picture(figure, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        name: {
            length: learn(name, length, arguments.steps, arguments.seed)
            for length in arguments.lengths
        }
        for name in CELLS
    }
    print(table(found))
    if arguments.out is not None:
        picture(found, arguments.out)


if __name__ == "__main__":
    main()
