"""Large vocabularies: a training step with the exact and with the adaptive softmax, and with a
sample of the words, its time and its memory, against the plain PyTorch way."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.compare import Result, compare, of_pairs
from benchmarks.training import Shape, our_step, ready, some, their_step
from charlm.training import memory
from charlm.training.vocabulary_sizing import cutoffs_for, sample_for

VOCABULARIES = (33_278, 250_000)  # of WikiText-2, and one nearly that of WikiText-103


def rows(quick: bool) -> Iterator[Result]:
    """Every figure of this kind: LSTM 2 x 200, 20 streams of 35, as PyTorch's own example."""
    steps, n = (1, 3) if quick else (2, 5)
    for vocabulary in VOCABULARIES:
        exact = Shape("lstm", 2, 200, vocabulary, 20, 35)
        cutoffs = tuple(map(int, cutoffs_for(vocabulary, 0).split(",")))
        adaptive = exact._replace(cutoffs=cutoffs)
        title = f"V {vocabulary:,}"
        tokens = steps * 20 * 35
        drawn = sample_for(vocabulary, "full")
        plain_step = their_step(exact)
        ways = {
            f"{title}, exact softmax": (our_step(exact), plain_step),
            f"{title}, adaptive softmax": (our_step(adaptive), their_step(adaptive)),
            f"{title}, {drawn:,} drawn (plain: exact)": (our_step(exact, sample=drawn), plain_step),
        }
        for what, (ours, plain) in ways.items():
            yield compare(
                f"step, {what}", "tokens/s", tokens, some(ours, steps), some(plain, steps), n,
                ready=ready(ours),
            )  # fmt: skip
        own = [some(ours, steps) for ours, _ in ways.values()]
        memory.keep()
        what = f"step, {title}, adaptive (charlm) against exact (charlm: as plain)"
        yield compare(what, "tokens/s", tokens, own[1], own[0], n)
        what = f"step, {title}, {drawn:,} drawn (charlm) against exact (charlm: as plain)"
        yield compare(what, "tokens/s", tokens, own[2], own[0], n)
        del ways, own
        for name, shape in (("exact", exact), ("adaptive", adaptive)):
            peaks = [(_peak(shape, "ours"), _peak(shape, "plain"))]
            yield of_pairs(f"memory, {title}, {name} softmax", "MiB", peaks, lambda mib: mib)


def _peak(shape: Shape, way: str) -> float:
    """MiB that a process of its own takes at most for some steps."""
    command = [sys.executable, "-m", "benchmarks.vocabulary", way, *map(str, shape[:-1])]
    command += [",".join(map(str, shape.cutoffs))]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    """A few steps of the shape that the arguments name, and the most memory that they took."""
    way, cell, *numbers, begins = sys.argv[1:]
    layers, hidden, vocabulary, batch, bptt = map(int, numbers)
    cutoffs = tuple(map(int, begins.split(","))) if begins else ()
    shape = Shape(cell, layers, hidden, vocabulary, batch, bptt, cutoffs)
    memory.keep(way == "ours")
    some((our_step if way == "ours" else their_step)(shape), 3)()
    status = Path("/proc/self/status").read_text()
    # Not getrusage: its peak may be the one of the process that started this one.
    print(int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) / 1024)


if __name__ == "__main__":
    main()
