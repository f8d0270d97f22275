"""How good a classifier is with fewer labels: the network that was transferred, the same one from
scratch, the baseline, words with what is known of them from text without labels, and these together
with the first of the networks, on the same texts, several times with other texts and other seeds.

With N labels, N of the training texts are learned from, and the validation part is cut to the
same share: nobody who has N labelled texts has more of them to validate on. Subsets are
stratified, and a smaller one is part of a larger one of the same repeat
(text/labelled_subsets.py). Each training is a point of its own on disk: what is there is not done
again, so a curve that was interrupted goes on.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from charlm.errors import DataError, UsageError
from charlm.evaluation.intervals import LEVEL, mean_interval
from charlm.storage.atomic import write_atomically
from charlm.storage.reading import TEXT_LIMIT, damaged, read_regular
from charlm.text.decoding import Say
from charlm.text.labelled import LabelledRow
from charlm.text.labelled_splits import Division
from charlm.text.labelled_subsets import nested_order
from charlm.text.stored import json_bytes, read_object

TRANSFERRED, SCRATCH, BASELINE = "transferred", "from_scratch", "baseline"
WORDS: Final = "words"  # those that also know which go together in text without labels
TOGETHER: Final = "together"
FIGURES: Final = ("accuracy", "macro_f1")
FILE: Final = "learning_curve.json"


@dataclass(frozen=True)
class Point:
    """One training: which way, from which texts, with which seed."""

    way: str
    train: list[LabelledRow]
    valid: list[LabelledRow]
    seed: int
    baseline: bool  # to be measured beside it

    @property
    def name(self) -> str:
        return f"{self.way}-{len(self.train)}-{self.seed}"


# Trains one point into a folder; its summary, with `test`, `baseline`, `words` and `together`.
Train = Callable[[Point, Path], Mapping[str, Any]]


def label_counts(
    counts: Iterable[int], fractions: Iterable[float], division: Division
) -> list[int]:
    """How many training texts to learn from, ascending; fractions are of all of them.

    UsageError: more than there are, or fewer than there are classes. DataError: there are no
    test texts to measure on.
    """
    if not division.test:
        raise DataError(
            "A learning curve is measured on test texts, and there are none.",
            "Give --test or --test-fraction.",
        )
    total, classes = len(division.train), len(division.classes)
    wanted = {*counts, *(round(fraction * total) for fraction in fractions)}
    for count in sorted(wanted):
        if not classes <= count <= total:
            raise UsageError(
                f"a learning curve is to have {count:,} labels; needed: from {classes:,} (one for "
                f"each class) to {total:,} (all training texts)",
                "Change --label-count or --label-fraction.",
            )
    return sorted(wanted)


def learning_curve(
    division: Division,
    counts: Sequence[int],
    repeats: int,
    seed: int,
    ways: Sequence[str],
    train: Train,
    folder: Path,
    say: Say,
) -> dict[str, Any]:
    """Train every point and put them together, kept in `folder`, which must be there.

    ways: TRANSFERRED and SCRATCH, or one of them; with BASELINE, that too, WORDS where
    text without labels was counted, and TOGETHER where there were texts to fit its weights on.
    Repeat k has the seed `seed` + k.
    """
    networks = [way for way in ways if way != BASELINE]
    found: list[dict[str, Any]] = []
    for count in counts:
        values: dict[str, list[_Figures]] = {way: [] for way in (*ways, WORDS, TOGETHER)}
        for repeat in range(repeats):
            texts, valid = subset(division, count, seed + repeat)
            for way in networks:
                beside = BASELINE in ways and way == networks[0]
                point = Point(way, texts, valid, seed + repeat, beside)
                say(f"{count:,} labels, repeat {repeat + 1} of {repeats}: {_named(way)}")
                kept = _trained(point, train, folder)
                values[way].append(kept.test)
                if kept.baseline is not None:
                    values[BASELINE].append(kept.baseline)
                if kept.words is not None:
                    values[WORDS].append(kept.words)
                if kept.together is not None:
                    values[TOGETHER].append(kept.together)
        there = {way: figures for way, figures in values.items() if len(figures) == repeats}
        found.append(as_point(count, len(valid), there))
    curve = {
        "n_test": len(division.test),
        "classes": len(division.classes),
        "repeats": repeats,
        "level": LEVEL,
        "points": found,
    }
    write_atomically(folder / FILE, (json.dumps(curve, indent=1) + "\n").encode())
    return curve


def subset(
    division: Division, count: int, seed: int
) -> tuple[list[LabelledRow], list[LabelledRow]]:
    """`count` training texts and the same share of the validation texts, in the files' order."""
    share = count / len(division.train)
    least = min(len(division.classes), len(division.valid))
    valid = max(least, round(share * len(division.valid)))
    parts = []
    for name, rows, size in (("train", division.train, count), ("valid", division.valid, valid)):
        order = nested_order([row.label for row in rows], seed, f"label curve, {name}")
        parts.append([rows[number] for number in sorted(order[:size])])
    return parts[0], parts[1]


def as_point(
    labels: int, n_valid: int, values: Mapping[str, Sequence["_Figures"]]
) -> dict[str, Any]:
    """The means with their intervals, way by way, and of the differences of the first way, and of
    TOGETHER, to the others, which are taken repeat by repeat: the subsets are the same."""
    point: dict[str, Any] = {"labels": labels, "n_valid": n_valid}
    for way, summaries in values.items():
        point[way] = {key: mean_interval([getattr(s, key) for s in summaries]) for key in FIGURES}
    alone = [way for way in values if way != TOGETHER]
    point["ahead_of"] = {way: _ahead(values[alone[0]], values[way]) for way in alone[1:]}
    if TOGETHER in values:
        point["together_ahead_of"] = {way: _ahead(values[TOGETHER], values[way]) for way in alone}
    return point


def _ahead(ours: Sequence["_Figures"], theirs: Sequence["_Figures"]) -> dict[str, Any]:
    return {
        key: mean_interval(
            [getattr(a, key) - getattr(b, key) for a, b in zip(ours, theirs, strict=True)]
        )
        for key in FIGURES
    }


class _Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accuracy: float
    macro_f1: float


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a point: its figures on the test texts, and if measured the baseline's, those
    of words that know more, and those of network and words together."""

    test: _Figures
    baseline: _Figures | None
    together: _Figures | None = None
    words: _Figures | None = None


def _trained(point: Point, train: Train, folder: Path) -> _Kept:
    """What the point has come to; its network is not kept. RunError: what is kept is damaged."""
    path = folder / f"{point.name}.json"
    if path.exists():
        kept = read_object(read_regular(path, limit=TEXT_LIMIT), _Kept, str(path))
        if point.baseline != (kept.baseline is not None):
            raise damaged(path, "is of a point with another baseline")
        return kept
    run = folder / point.name
    summary = train(point, run)

    def figures(name: str) -> _Figures:
        return _Figures(**{key: summary[name][key] for key in FIGURES})

    kept = _Kept(
        figures("test"),
        figures("baseline") if point.baseline else None,
        *(figures(name) if summary.get(name) else None for name in (TOGETHER, WORDS)),
    )
    write_atomically(path, json_bytes(kept))
    shutil.rmtree(run, ignore_errors=True)
    return kept


def _named(way: str) -> str:
    return way.replace("_", " ")
