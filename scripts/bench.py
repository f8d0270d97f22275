"""Speed, side by side with the plain PyTorch way, in one run, as ratios.

    python scripts/bench.py [--quick] [--only KIND] [--jsonl FILE]
    python scripts/bench.py --device cuda    a training step on a GPU, against the plain way there
    python scripts/bench.py --profile        where a training step goes

Each measurement takes charlm and the plain way in turn, several times; what counts is the
median of the ratios pair by pair, with the smallest and the largest, since absolute figures
drift with the load of the machine. "plain" is what every tutorial does: fp32, nn.LSTM,
nn.Dropout, cross-entropy, clipping, Adam; and nn.LSTM called for one step to generate. "of
product" is the share of the rate of a large matrix product that charlm's products come to.
"""

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from benchmarks import generation, starting, training, vocabulary
from benchmarks.compare import Result
from rich.console import Console
from rich.table import Table

from charlm.training import precision

KINDS = {
    "training": training.rows,
    "generation": generation.rows,
    "starting": starting.rows,
    "vocabulary": vocabulary.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    parser.add_argument("--only", choices=KINDS, help="measure one kind of work alone")
    parser.add_argument("--jsonl", type=Path, help="append each result to this file")
    parser.add_argument("--profile", action="store_true", help="where a training step goes")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="cuda: a training step on a GPU"
    )
    arguments = parser.parse_args()
    device = arguments.device
    if arguments.profile:
        for title, found in training.profile(device):
            Console().print(title, found, sep="\n", soft_wrap=True)
        return
    rates = precision.probe(device)
    machine = f"{torch.get_num_threads()} threads"
    if device == "cuda":
        machine = torch.cuda.get_device_name()
    table = Table(
        title=f"{machine}; recurrent products: fp32 {rates.fp32:.0f}, bf16 {rates.bf16:.0f} "
        f"GFLOP/s; large ones as training takes them: {training.product_rate(device) / 1e9:.0f}"
    )
    for heading in ("what", "unit", "charlm", "plain", "ratio", "spread", "of product"):
        table.add_column(heading)
    kinds = KINDS
    if device == "cuda":
        kinds = {"training": partial(training.rows, device="cuda")}
    for kind in [arguments.only] if arguments.only else kinds:
        for result in kinds[kind](arguments.quick):
            table.add_row(result.what, result.unit, *_shown(result))
            if arguments.jsonl:
                with arguments.jsonl.open("a") as file:
                    file.write(json.dumps(asdict(result)) + "\n")
    Console().print(table)


def _shown(result: Result) -> tuple[str, str, str, str, str]:
    """charlm, plain, ratio, spread, share."""
    ours = number(result.charlm)
    if result.plain is None:
        return ours, "", "", "", ""
    spread = f"{result.ratio_least:.2f} .. {result.ratio_most:.2f}"
    share = "" if result.share is None else f"{result.share:.0%}"
    return ours, number(result.plain), f"{result.ratio:.2f}", spread, share


def number(value: float) -> str:
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
