"""Public labelled sets, from a folder that holds them as they are distributed, and text to
pretrain on. None of it comes with charlm.

    mtsamples/     specialty_{train,valid,test}.csv, mtsamples_lm_train.txt
    medquad/       medquad.csv.gz                   question -> its type; answers to pretrain on
    mts_dialog/    MTS-Dialog-*.csv                 section -> its header
    mr_polarity/   rt-polarity.{neg,pos}            sentence -> polarity
    subj/          quote.tok.gt9.5000, plot.tok.gt9.5000   sentence -> subjective or objective
    wikitext-2/    train.txt                        to pretrain on for the last two
"""

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charlm.text.labelled import LabelledRow, read_labelled
from charlm.text.labelled_splits import Division, divide


@dataclass(frozen=True)
class LabelledSet:
    """The parts of a set, what its language model reads first, and how texts become tokens."""

    division: Division
    lm_texts: list[Path]
    tokenizing: dict[str, Any] = field(default_factory=dict)


def quiet(message: str) -> None:
    """What is said of near-duplicates is not wanted in a table."""


def _divided(rows: list[LabelledRow]) -> Division:
    """No parts of its own: a tenth for validation and one for the test, the same for everyone."""
    return divide(rows, None, None, "0.1", "0.1", 1, quiet)


def mtsamples(folder: Path, work: Path) -> LabelledSet:
    """Medical reports and nine specialties."""
    place = folder / "mtsamples"
    train, valid, test = (read_labelled(place / f"specialty_{part}.csv", say=quiet)
                          for part in ("train", "valid", "test"))  # fmt: skip
    return LabelledSet(
        divide(train, valid, test, 0, 0, 1, quiet), [place / "mtsamples_lm_train.txt"]
    )


def medquad(folder: Path, work: Path) -> LabelledSet:
    """Medical questions and what kind of question they are."""
    table = folder / "medquad" / "medquad.csv.gz"
    rows = read_labelled(table, text_column="question", label_column="qtype", say=quiet)
    return LabelledSet(_divided(rows), [_answers(table, work)])


def _answers(table: Path, work: Path) -> Path:
    """The answers of medquad as text, a blank line after each."""
    path = work / "medquad_answers.txt"
    if not path.exists():
        with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
            answers = [row["answer"] for row in csv.DictReader(file) if row["answer"]]
        path.write_text("\n\n".join(answers) + "\n", encoding="utf-8")
    return path


def mts_dialog(folder: Path, work: Path) -> LabelledSet:
    """Sections of visit notes and their headers. Pretrained on medquad: the notes derive from
    MTSamples, whose reports must not be read here."""
    names = ("TrainingSet", "ValidationSet", "TestSet-1-MEDIQA-Chat-2023")
    train, valid, test = (
        read_labelled(
            folder / "mts_dialog" / f"MTS-Dialog-{name}.csv",
            text_column="section_text",
            label_column="section_header",
            say=quiet,
        )
        for name in names
    )
    answers = _answers(folder / "medquad" / "medquad.csv.gz", work)
    return LabelledSet(divide(train, valid, test, 0, 0, 1, quiet), [answers])


def _sentences(folder: Path, files: dict[str, str]) -> LabelledSet:
    rows = []
    for label, name in files.items():
        lines = (folder / name).read_text("utf-8").split("\n")
        rows += [LabelledRow(t.strip(), label, n) for n, t in enumerate(lines, 1) if t.strip()]
    wiki = folder.parent / "wikitext-2" / "train.txt"
    return LabelledSet(_divided(rows), [wiki], {"lowercase": True})  # as these sentences are


def mr_polarity(folder: Path, work: Path) -> LabelledSet:
    """Sentences of film reviews."""
    files = {"negative": "rt-polarity.neg", "positive": "rt-polarity.pos"}
    return _sentences(folder / "mr_polarity", files)


def subj(folder: Path, work: Path) -> LabelledSet:
    """Sentences that judge, and sentences that tell."""
    files = {"subjective": "quote.tok.gt9.5000", "objective": "plot.tok.gt9.5000"}
    return _sentences(folder / "subj", files)


SETS: dict[str, Callable[[Path, Path], LabelledSet]] = {
    "mtsamples": mtsamples, "medquad": medquad, "mts_dialog": mts_dialog,
    "mr_polarity": mr_polarity, "subj": subj,
}  # fmt: skip
