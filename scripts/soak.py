"""A soak: long training, 100,000 lines through score and classify, a million characters written.

    python scripts/soak.py            twenty minutes of training and the rest: about half an hour
    python scripts/soak.py --short    the same in two minutes, to see that it works

Says of each how memory went: the slope of a line through it, in MiB an hour for training and in
MiB for 100,000 lines or a million characters else; and exits with 1 where it rose by more than
a tenth in the second half of the time. Memory is what the process has for itself: the pages of
mapped files are the system's, which takes them back when it likes.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import theilslopes

ROOT = Path(__file__).resolve().parents[1]
NOTES = ROOT / "corpora" / "clinical_notes" / "train.txt"
_EVERY = 0.5  # seconds between two looks at the memory
_PARTS = 12  # each longer than a batch of lines takes


@dataclass(frozen=True)
class Course:
    """The memory of a process over time: seconds and MiB."""

    what: str
    code: int
    seconds: list[float]
    mebibytes: list[float]

    @property
    def settled(self) -> list[tuple[float, float]]:
        """The least of each of _PARTS parts of the second half, and when it was.

        In the first half libraries are loaded and buffers grow. What a batch or an evaluation
        needs for a while comes and goes: what is left between them is what may leak.
        """
        pairs = list(zip(self.seconds, self.mebibytes, strict=True))
        half = pairs[len(pairs) // 2 :]
        size = max(1, len(half) // _PARTS)
        parts = [half[begin : begin + size] for begin in range(0, len(half), size)]
        return [min(part, key=lambda pair: pair[1]) for part in parts]

    @property
    def slope(self) -> float:
        """MiB a second: the median slope between two parts (Theil 1950, Sen 1968), which a long
        evaluation at the end does not bend."""
        if len(self.settled) < 2:
            return 0.0
        seconds, mebibytes = zip(*self.settled, strict=True)
        return float(theilslopes(mebibytes, seconds).slope)

    @property
    def flat(self) -> bool:
        """It took its time, ended well, and what it rose by is within a tenth."""
        pairs = self.settled
        rise = self.slope * (pairs[-1][0] - pairs[0][0]) if len(pairs) > 1 else 0.0
        return self.code == 0 and bool(pairs) and rise <= 0.1 * pairs[0][1]

    def shown(self) -> str:
        took = self.seconds[-1] if self.seconds else 0.0
        seen = self.mebibytes or [0.0]
        quarters = [seen[len(seen) * n // 4 - 1] for n in (1, 2, 3, 4)]
        return (
            f"{self.what}: {took:.0f} s, at most {max(seen):.0f} MiB "
            f"(by quarters {', '.join(f'{m:.0f}' for m in quarters)}), "
            f"{self.slope * 3600:+.2f} MiB an hour, {self.slope * took:+.2f} MiB over all of it: "
            f"{'flat' if self.flat else 'NOT FLAT'} (exit code {self.code})"
        )


def watch(what: str, arguments: Sequence[str], stdin: Path | None, stdout: Path) -> Course:
    """Run a charlm command and look at its memory until it ends."""
    command = [sys.executable, "-m", "charlm", *arguments]
    with open(stdout, "wb") as out, open(stdin or "/dev/null", "rb") as given:
        process = subprocess.Popen(command, stdin=given, stdout=out, cwd=ROOT)
        begin, seconds, mebibytes = time.monotonic(), [], []
        while process.poll() is None:
            found = private(process.pid)
            if found:
                seconds.append(time.monotonic() - begin)
                mebibytes.append(found)
            time.sleep(_EVERY)
    return Course(what, process.returncode, seconds, mebibytes)


def private(pid: int) -> float:
    """MiB in memory now that are of no file (Linux); 0 where the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def long_text(place: Path, copies: int) -> Path:
    """The notes many times, each time in another order of their lines."""
    lines = NOTES.read_text("utf-8").splitlines(keepends=True)
    draw = random.Random(1)
    with open(place, "w", encoding="utf-8") as file:
        for _ in range(copies):
            draw.shuffle(lines)
            file.writelines(lines)
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--threads", default="auto")
    options = parser.parse_args()
    minutes, lines, characters = (0.5, 15_000, 300_000) if options.short else (20, 10**5, 10**6)
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        folder, run = Path(place), str(Path(place) / "run")
        classifier = str(folder / "classifier")
        corpus = long_text(folder / "corpus.txt", 2 if options.short else 40)
        text = folder / "lines.txt"
        notes = NOTES.read_text("utf-8").splitlines()
        text.write_text("".join(notes[i % len(notes)] + "\n" for i in range(lines)), "utf-8")
        alone = ["--threads", options.threads]
        training = ["train", str(corpus), "--out", run, "--minutes", str(minutes), "-q", *alone]
        # A tenth of a long text would take longer to measure at the end than to train on.
        training += ["--valid", str(NOTES.with_name("valid.txt"))]
        training += ["--save-every", "5", "--report-every", "20"]
        labelling = [sys.executable, str(ROOT / "scripts" / "label_notes.py"), "--out", place]
        subprocess.run(labelling, check=True)
        learning = ["finetune-classify", run, str(folder / "train.csv"), "--out", classifier]
        learning += ["--lm-epochs", "0", "--steps", "30", "--no-baseline", "-q", *alone]
        courses = [
            watch(f"train, {minutes} minutes", training, None, folder / "none"),
            watch(f"score, {lines:,} lines", ["score", run, "-", *alone], text, folder / "scores"),
            watch("finetune-classify", learning, None, folder / "none"),
            watch(
                f"classify, {lines:,} lines",
                ["classify", classifier, "-", *alone],
                text,
                folder / "classes",
            ),
            watch(
                f"generate, {characters:,} characters",
                ["generate", run, "--length", str(characters), "--length-unit", "characters"],
                None,
                folder / "written",
            ),
        ]
        asked = text.read_text("utf-8").splitlines()
        answers = {"scores": 3, "classes": 2}  # tabs before a line
        order = {
            name: [line.split("\t", tabs)[tabs] for line in _lines(folder / name)] == asked
            for name, tabs in answers.items()
        }
        written = len((folder / "written").read_text("utf-8"))
    for course in courses:
        print(course.shown())
    print(f"order kept of {lines:,} lines: {order}; generate wrote {written:,} characters")
    # Making the classifier takes too short a time for a slope.
    flat = all(course.flat for course in courses if course is not courses[2])
    sys.exit(not (flat and courses[2].code == 0 and all(order.values()) and written == characters))


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


if __name__ == "__main__":
    main()
