"""How well `charlm correct` corrects: misspellings of a list, put into sentences.

    python scripts/spelling.py RUN --words TRAIN.txt --text HELD_OUT.txt \\
        --misspellings wikipedia.dat aspell.dat [--backward RUN] [--part dev|test]

A list has a line `$word` followed by its misspellings, a line each. Each misspelling of a word
that stands in the text takes its place there, once, if it is no word of TRAIN (an error that
makes another word is another task). The same candidates are ranked by the model in context, and
by word frequency alone (those nearest in edits first), and by frequency and error model. The
first half of the lines of the text chooses the threshold, the second half is misspelled.

The prices of text/spelling_errors.py were chosen on `--part dev`: words whose SHA-256 is even.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import charlm
from charlm.correcting import CorrectionSettings
from charlm.correction import corrector
from charlm.evaluation.spelling import Choice, Corrector, Unknown
from charlm.text.corpus import Reading
from charlm.text.spelling_errors import distances
from charlm.text.tokenizers.utf8 import code_points
from charlm.text.tokenizers.word_split import Splitting
from charlm.text.word_list import WordList, words_in


@dataclass(frozen=True)
class Error:
    """A line of a right text with one word misspelled."""

    line: str
    begin: int
    wrong: str
    right: str


def misspellings(files: Sequence[Path], part: str) -> dict[str, list[str]]:
    """Word to misspellings, of the words that belong to the part."""
    found: dict[str, list[str]] = defaultdict(list)
    word = ""
    for file in files:
        for line in file.read_text("utf-8").split("\n"):
            if line.startswith("$"):
                word = line[1:].strip()
            elif line.strip() and word:
                found[word].append(line.strip())
    wanted = {"dev": 0, "test": 1}
    return {
        word: wrong
        for word, wrong in found.items()
        if part == "all" or hashlib.sha256(word.encode()).digest()[0] % 2 == wanted[part]
    }


def errors_in(lines: Sequence[str], wrong: dict[str, list[str]], known: WordList) -> list[Error]:
    """Every misspelling once, in the first long line that has its word and no other error yet."""
    splitting, found = Splitting("unicode"), []
    waiting = {
        word: [w for w in dict.fromkeys(ws) if splitting.split(w).texts == [w] and w not in known]
        for word, ws in wrong.items()
    }
    for line in lines:
        for place in words_in(line, splitting) if len(line) > 30 else ():
            if waiting.get(place.word):
                error = waiting[place.word].pop()
                changed = line[: place.begin] + error + line[place.begin + len(place.word) :]
                found.append(Error(changed, place.begin, error, place.word))
                break
    return found


def by_frequency(unknown: Unknown, error_model: bool) -> str | None:
    """The most frequent candidate of the nearest, or the best by frequency and error model."""
    if not unknown.choices:
        return None
    word = unknown.place.word.lower()

    def rank(choice: Choice) -> tuple[float, float]:
        candidate = choice.candidate
        if error_model:
            return candidate.cost - math.log(candidate.count), 0
        other = code_points(candidate.text.lower())
        lengths = np.array([len(other)])
        return int(distances(code_points(word), other[None], lengths)[0]), -candidate.count

    return min(unknown.choices, key=rank).candidate.text


def measure(by: Corrector, errors: Sequence[Error]) -> dict[str, float]:
    """Shares of the errors, and the speed of the text that they stand in."""
    begin, words = time.process_time(), 0
    right = {"candidate": 0, "ranked_first": 0, "corrected": 0, "frequency": 0, "with_errors": 0}
    for error, line in zip(errors, by.lines([error.line for error in errors]), strict=True):
        words += line.words
        for unknown in line.unknown:
            if unknown.place.begin != error.begin or unknown.place.word != error.wrong:
                continue
            texts = [choice.candidate.text for choice in unknown.choices]
            first = texts[:1] == [error.right]
            right["candidate"] += error.right in texts
            right["ranked_first"] += first
            right["corrected"] += first and unknown.corrected
            right["frequency"] += by_frequency(unknown, False) == error.right
            right["with_errors"] += by_frequency(unknown, True) == error.right
    seconds = time.process_time() - begin
    shares = {name: round(count / len(errors), 4) for name, count in right.items()}
    return {"errors": len(errors), **shares, "words_per_second": round(words / seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--backward", type=Path)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--misspellings", type=Path, nargs="+", required=True)
    parser.add_argument("--part", choices=("dev", "test", "all"), default="test")
    parser.add_argument("--most-errors", type=int, default=100_000)
    parser.add_argument("--false-alarms", type=float, default=0.001)
    options = parser.parse_args()

    lines = options.text.read_text("utf-8").splitlines(keepends=True)
    half = len(lines) // 2
    right = options.text.with_suffix(".half")
    right.write_text("".join(lines[:half]), "utf-8")
    runs = [options.run, *([options.backward] if options.backward else [])]
    settings = CorrectionSettings(false_alarms=options.false_alarms)

    def tell(message: str) -> None:
        print(message, file=sys.stderr)

    models = [charlm.load(run) for run in runs]
    by = corrector(models, settings, options.words, right, Reading(say=tell))
    known = WordList.of([options.words.read_text("utf-8")])
    errors = errors_in(lines[half:], misspellings(options.misspellings, options.part), known)
    found: dict[str, object] = {"threshold": round(by.threshold, 2)}
    found |= measure(by, errors[: options.most_errors])
    # A right text: every change is a false alarm.
    begin, words, alarms = time.process_time(), 0, 0
    for line in by.lines(lines[half : half + 2000]):
        words, alarms = words + line.words, alarms + sum(one.corrected for one in line.unknown)
    found["false_alarms"] = round(alarms / words, 5)
    found["right_words_per_second"] = round(words / (time.process_time() - begin), 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
