"""How much charlm learns in so many minutes: tracks with fixed rules.

    python scripts/speedrun.py notes-1                                three seeds, then a row
    python scripts/speedrun.py shakespeare-3 --data data --adapt      adapting figures beside
    python scripts/speedrun.py notes-1 --record "GRU" -- --cell gru   appended to RECORDS.md

The rules. Text and split are the track's, known by their SHA-256. `charlm train` runs as it is,
with the options after `--`, on so many processor cores and no more (--cores 2). The clock runs
from the start of the command to its final save, everything included: imports, reading, probes,
evaluations in between; a run that takes a hundredth more than its minutes does not count. The
result is what `charlm evaluate` says of the validation text: nats per token read as one stream,
and by windows of 256 from the empty state. A row has the mean over the seeds, and the load of the
machine before the start: it should do nothing else.

A record names its commit, so it is refused where files differ from it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.records import Row, append
from benchmarks.tracks import TRACKS, Course, prepare

from charlm.errors import CharlmError, DataError, RunError, UsageError
from charlm.report.console import error_text

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "scripts" / "RECORDS.md"
WINDOW = 256
_TOLERANCE = 1.01
BESIDE = ("dynamic", "cache", "counts")


@dataclass(frozen=True)
class Result:
    """Seconds to the final save, steps taken, and `charlm evaluate --json` of each part, as one
    stream (`valid`, `test`) and by windows (`windows`, of the validation text)."""

    seconds: float
    summary: dict[str, Any]
    stateful: dict[str, dict[str, Any]]
    windows: dict[str, Any]


def charlm(words: list[str], cores: list[int] | None) -> dict[str, Any]:
    """Run a charlm command on these cores alone; its --json object."""
    command = [sys.executable, "-m", "charlm", *words, "--json"]

    def stay() -> None:
        if cores is not None:
            os.sched_setaffinity(0, cores)

    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT, preexec_fn=stay
    )
    if done.returncode:
        raise RunError(f"charlm {words[0]} ended with {done.returncode}", "It says why above.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def race(
    course: Course, budget: list[str], options: list[str], run: Path, cores: list[int] | None,
    adapt: bool,
) -> Result:  # fmt: skip
    """One run by the rules, and what it came to."""
    begin = time.time()
    training = ["train", *course.training, *budget, *options, "--out", str(run), "--force", "-q"]
    summary = charlm(training, cores)
    saved = (run / "checkpoints" / "last" / "manifest.json").stat().st_mtime
    adapting = [f"--{way}" for way in BESIDE] if adapt else []
    stateful = {
        part: charlm(["evaluate", str(run), str(path), *adapting], cores)
        for part, path in course.measured.items()
    }
    windows = charlm(
        ["evaluate", str(run), str(course.measured["valid"]), "--window", str(WINDOW)], cores
    )
    return Result(saved - begin, summary, stateful, windows)


def row_of(name: str, results: list[Result], about: str, machine: str) -> Row:
    """The means over seeds, and each seed's figure where there are several."""

    def shown(values: list[float]) -> str:
        mean = f"{sum(values) / len(values):.4f}"
        each = ", ".join(f"{value:.4f}" for value in values)
        return f"{mean} ({each})" if len(values) > 1 else mean

    valid = [result.stateful["valid"] for result in results]
    more = []
    for way in BESIDE:
        if way in valid[0]:
            more.append(f"{way} {shown([each[way]['nats_per_token'] for each in valid])}")
    if "limit" in valid[0]:
        gap = sum(each["limit"]["gap"] for each in valid) / len(valid)
        more.append(f"{gap:.1%} above its source")
    if "test" in results[0].stateful:
        tests = [result.stateful["test"] for result in results]
        found = {"test perplexity": tests}
        found |= {way: [t[way] for t in tests] for way in BESIDE if way in tests[0]}
        for what, figures in found.items():
            mean = sum(each["perplexity"] for each in figures) / len(figures)
            more.append(f"{what} {mean:.1f}")
    return Row(
        track=name,
        seconds=f"{max(result.seconds for result in results):.1f}",
        steps=", ".join(f"{result.summary['steps']:,}" for result in results),
        stateful=shown([each["nats_per_token"] for each in valid]),
        windows=shown([result.windows["nats_per_token"] for result in results]),
        more="; ".join(more),
        about=about,
        machine=machine,
        commit=git("rev-parse", "--short", "HEAD"),
    )


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "no commit"


def chosen_cores(number: int) -> list[int] | None:
    """The first of this process's cores; None where they cannot be chosen (macOS).

    UsageError: it has fewer.
    """
    if sys.platform != "linux":
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < number:
        raise UsageError(f"--cores {number}, and there are {len(cores)}", "Ask for fewer.")
    return cores[:number]


def arguments(words: list[str]) -> argparse.Namespace:
    summary, rest = (__doc__ or "").split("\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("track", choices=TRACKS)
    parser.add_argument("--data", type=Path, help="where public corpora are")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--adapt", action="store_true", help="dynamic evaluation, cache and counts beside"
    )
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--record", metavar="TEXT", help="append to RECORDS.md: what changed")
    parser.add_argument("--minutes", type=float, help="another budget, to try; no record")
    cut = words.index("--") if "--" in words else len(words)
    found = parser.parse_args(words[:cut])
    found.options = words[cut + 1 :]
    return found


def speedrun(options: argparse.Namespace) -> Row:
    """All seeds of a track. The errors of charlm.errors."""
    track, cores = TRACKS[options.track], chosen_cores(options.cores)
    minutes = options.minutes or track.minutes
    if options.record and options.minutes:
        raise UsageError("--minutes is not the track's: no record", "Leave one of them out.")
    if options.record and git("status", "--porcelain", "--untracked-files=no"):
        raise UsageError("--record needs files as they are in a commit", "Commit them first.")
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"The load of this machine is {load:.1f}: not a quiet one.", file=sys.stderr)
    results = []
    with tempfile.TemporaryDirectory(prefix="speedrun-") as place:
        out = options.out or Path(place)
        course = prepare(track, options.data, out / "text")
        for seed in options.seeds:
            budget = ["--minutes", str(minutes), "--seed", str(seed)]
            run = out / f"{options.track}-{seed}"
            found = race(course, budget, options.options, run, cores, options.adapt)
            print(
                f"seed {seed}: {found.seconds:.1f} s, {found.summary['steps']:,} steps, "
                f"{found.stateful['valid']['nats_per_token']:.4f} nats per token, by windows "
                f"{found.windows['nats_per_token']:.4f}",
                file=sys.stderr,
                flush=True,
            )
            if found.seconds > 60 * minutes * _TOLERANCE:
                raise DataError(
                    f"it took {found.seconds:.1f} s to the final save, and {60 * minutes:g} are "
                    "allowed",
                    "Run it again while the machine does nothing else.",
                )
            results.append(found)
    about = options.record or ""
    if options.options:
        about = f"{about} `{' '.join(options.options)}`".strip()
    return row_of(options.track, results, about, f"{options.cores} cores, load {load:.1f}")


def main(words: list[str] | None = None) -> int:
    options = arguments(sys.argv[1:] if words is None else words)
    try:
        row = speedrun(options)
    except CharlmError as error:
        print(error_text(error.what, error.hint), file=sys.stderr)
        return error.exit_code
    print(row.table())
    if options.record:
        append(RECORDS, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
