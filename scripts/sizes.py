"""The sizes that charlm chooses by itself against fixed ones, on any texts.

    python scripts/sizes.py songci.txt big.txt --characters 10_000 1_000_000 --minutes 1 \
        --work sizes/

Of each text the first so many characters (all, where none are named); their last tenth is held
out. At each level - characters, pieces, words - `auto` is trained for --minutes, and for as long
every preset of that level and, for characters, one and two layers of the widths that people take;
what a preset does not name is automatic in all of them, as it is on the command line. Prints
Markdown: nats per token of the held-out text, and how far each is behind `auto`. Within a level
tokens are the same, and with them the figures can be compared. Run it while the machine does
nothing else, or the same beside all. What is done stays in --work, and is not done again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import charlm

PIECES = {"tokenizer": "unigram"}
WORDS = {"tokenizer": "word"}
# Level -> what is trained there. A preset brings its own tokenizer.
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "characters": {
        "auto": {},
        "--preset char": {"preset": "char"},
        "--preset tiny": {"preset": "tiny"},
        "2 x 128": {"layers": 2, "hidden_size": 128},
        "1 x 256": {"layers": 1, "hidden_size": 256},
        "1 x 512": {"layers": 1, "hidden_size": 512},
    },
    "pieces": {"auto": PIECES, "--preset subword": {"preset": "subword"}},
    "words": {
        "auto": WORDS,
        "--preset word": {"preset": "word"},
        "--preset awd-lstm": {"preset": "awd-lstm", "epochs": None},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--characters", nargs="+", type=int, default=[None], metavar="N")
    parser.add_argument("--levels", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, required=True, help="where results stay")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    print("| text | characters | level | sizes | chosen | passes | nats per token | behind auto |")
    print("|---|---|---|---|---|---|---|---|")
    for text in arguments.texts:
        for characters in arguments.characters:
            for level in arguments.levels:
                for row in rows(text, characters, level, arguments):
                    print(f"| {' | '.join(row)} |", flush=True)


def rows(
    text: Path, characters: int | None, level: str, arguments: argparse.Namespace
) -> list[list[str]]:
    """A row a way of choosing the sizes; figures are means over the seeds."""
    found = []
    for way, settings in WAYS[level].items():
        runs = [once(text, characters, level, way, settings, seed, arguments)
                for seed in arguments.seeds]  # fmt: skip
        nats = [run["nats"] for run in runs]
        mean = sum(nats) / len(nats)
        if way == "auto":
            auto = mean
        each = f" ({', '.join(f'{value:.3f}' for value in nats)})" if len(nats) > 1 else ""
        passes = sum(run["passes"] for run in runs) / len(runs)
        first = runs[0]
        found.append([
            text.name, f"{first['characters']:,}", level, way, first["chosen"], f"{passes:.1f}",
            f"{mean:.3f}{each}", "" if way == "auto" else f"{mean - auto:+.3f}",
        ])  # fmt: skip
    return found


def once(
    text: Path, characters: int | None, level: str, way: str, settings: dict[str, Any],
    seed: int, arguments: argparse.Namespace,
) -> dict[str, Any]:  # fmt: skip
    """One run's figures, kept in a file."""
    words = f"{text.stem}-{characters}-{arguments.minutes:g}-{level}-{way}-{seed}"
    name = words.replace(" ", "").replace("--", "-")
    kept: Path = arguments.work / f"{name}.json"
    if not kept.exists():
        with text.open(encoding="utf-8-sig", newline="") as file:
            content = file.read(characters)
        part, out = arguments.work / "text.txt", arguments.work / "run"
        part.write_text(content, encoding="utf-8", newline="")
        summary = charlm.train([part], out, force=True, seed=seed, minutes=arguments.minutes,
                               threads=arguments.threads, **settings)  # fmt: skip
        m, o = charlm.load(out).config.model, charlm.load(out).config.optimisation
        chosen = f"{m.layers} x {m.hidden_size}, {o.batch_size} x {o.bptt}"
        result = {"nats": summary["valid"]["nats_per_token"], "passes": summary["epochs"],
                  "chosen": chosen, "characters": len(content)}  # fmt: skip
        kept.write_text(json.dumps(result), encoding="utf-8")
    found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return found


if __name__ == "__main__":
    main()
