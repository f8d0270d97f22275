"""The learning curve's driver, with a stand-in for the training of a point."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from report.pictures import curves, read, texts

from charlm.classifying.learning_curve import (
    BASELINE,
    SCRATCH,
    TOGETHER,
    TRANSFERRED,
    WORDS,
    Point,
    label_counts,
    learning_curve,
    subset,
)
from charlm.errors import DataError, RunError, UsageError
from charlm.evaluation.intervals import mean_interval
from charlm.report.console import Messages
from charlm.report.learning_curve import show_learning_curve, write_learning_curve
from charlm.text.labelled import LabelledRow
from charlm.text.labelled_splits import Division

WAYS = (TRANSFERRED, SCRATCH, BASELINE)


def rows(part: str, count: int) -> list[LabelledRow]:
    return [LabelledRow(f"{part} {n}", "ab"[n % 3 == 0], n + 2) for n in range(count)]


DIVISION = Division(rows("train", 60), rows("valid", 12), rows("test", 30), ("a", "b"))


class Trainer:
    """A training that is as good as its labels, its way and its seed say."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.fails_at: int | None = None
        self.together = self.words = False

    def __call__(self, point: Point, run: Path) -> Mapping[str, Any]:
        if len(self.points) == self.fails_at:
            raise KeyboardInterrupt
        self.points.append(point)
        run.mkdir()
        (run / "weights").write_text("large")
        accuracy = self.accuracy(point.way, len(point.train), point.seed)
        test = {"accuracy": accuracy, "macro_f1": accuracy - 0.1, "per_class": {}}
        baseline = (
            {"accuracy": accuracy - 0.2, "macro_f1": accuracy - 0.25} if point.baseline else None
        )
        both = {"accuracy": accuracy + 0.1, "macro_f1": accuracy + 0.05}
        together = both if self.together and point.baseline else None
        more = {"accuracy": accuracy - 0.15, "macro_f1": accuracy - 0.18}
        words = more if self.words and point.baseline else None
        found = {"test": test, "baseline": baseline, "words": words, "together": together}
        return found | {"run": str(run)}

    @staticmethod
    def accuracy(way: str, labels: int, seed: int) -> float:
        return 0.5 + labels / 200 + seed / 100 + (0.1 if way == TRANSFERRED else 0.02 * seed)


def curve(
    folder: Path,
    trainer: Trainer,
    ways: tuple[str, ...] = WAYS,
    repeats: int = 3,
    counts: tuple[int, ...] = (10, 40),
) -> Any:
    said: list[str] = []
    folder.mkdir(exist_ok=True)
    found = learning_curve(DIVISION, counts, repeats, 5, ways, trainer, folder, said.append)
    assert len(said) == len(counts) * repeats * len(set(ways) - {BASELINE})
    return found


def test_both_together_stand_beside_each_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer()
    trainer.together = True
    folder = tmp_path / "curve"
    found = curve(folder, trainer)
    for point in found["points"]:
        transferred = point[TRANSFERRED]["accuracy"]["mean"]
        assert point[TOGETHER]["accuracy"]["mean"] == pytest.approx(transferred + 0.1)
        assert list(point["together_ahead_of"]) == [TRANSFERRED, SCRATCH, BASELINE]
        ahead = point["together_ahead_of"]
        assert ahead[BASELINE]["accuracy"]["mean"] == pytest.approx(0.3)
        assert ahead[BASELINE]["macro_f1"]["mean"] == pytest.approx(0.3)
        assert TOGETHER not in point["ahead_of"]
    show_learning_curve(Messages(quiet=False), found)
    shown = " ".join(capsys.readouterr().err.split())
    assert "transferred and baseline together is ahead of TF-IDF baseline alone by 30.0" in shown
    # Where words know more of text without labels, they take the baseline's place.
    trainer.words = True
    found = curve(tmp_path / "more", trainer)
    for point in found["points"]:
        assert point[WORDS]["macro_f1"]["mean"] == pytest.approx(
            point[BASELINE]["macro_f1"]["mean"] + 0.07
        )
        assert list(point["ahead_of"]) == [SCRATCH, BASELINE, WORDS]
        assert list(point["together_ahead_of"]) == [TRANSFERRED, SCRATCH, BASELINE, WORDS]
    show_learning_curve(Messages(quiet=False), found)
    shown = " ".join(capsys.readouterr().err.split())
    assert "transferred and words together is ahead of words, unlabelled too alone by" in shown
    # Points kept by an older charlm have none, and neither has a curve with one of them.
    path = folder / "transferred-10-5.json"
    kept = json.loads(path.read_text())
    del kept["together"]
    path.write_text(json.dumps(kept))
    older = curve(folder, Trainer())["points"]
    assert TOGETHER not in older[0] and TOGETHER in older[1]


def test_every_way_learns_from_the_same_texts(tmp_path: Path) -> None:
    trainer = Trainer()
    found = curve(tmp_path / "curve", trainer)
    assert len(trainer.points) == 12
    by_name = {point.name: point for point in trainer.points}
    assert len(by_name) == 12
    for seed in (5, 6, 7):
        few, many = (by_name[f"{TRANSFERRED}-{count}-{seed}"] for count in (10, 40))
        assert few.train == by_name[f"{SCRATCH}-10-{seed}"].train
        assert few.valid == by_name[f"{SCRATCH}-10-{seed}"].valid
        assert set(few.train) < set(many.train) and len(few.valid) == 2 and len(many.valid) == 8
        assert few.baseline and not by_name[f"{SCRATCH}-10-{seed}"].baseline
    for point, count in zip(found["points"], (10, 40), strict=True):
        assert point["labels"] == count and point["n_valid"] == count // 5
        values = {w: [Trainer.accuracy(w, count, s) for s in (5, 6, 7)] for w in WAYS[:2]}
        for way in WAYS[:2]:
            assert point[way]["accuracy"] == mean_interval(values[way])
        differences = [a - b for a, b in zip(values[TRANSFERRED], values[SCRATCH], strict=True)]
        assert point["ahead_of"][SCRATCH]["accuracy"] == mean_interval(differences)
        assert point["ahead_of"][BASELINE]["macro_f1"]["mean"] == pytest.approx(0.15)
        assert point[BASELINE]["accuracy"]["mean"] == pytest.approx(
            point[TRANSFERRED]["accuracy"]["mean"] - 0.2
        )
    assert json.loads((tmp_path / "curve" / "learning_curve.json").read_text()) == found


def test_an_interrupted_curve_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = curve(tmp_path / "whole", Trainer())
    first, second = Trainer(), Trainer()
    first.fails_at = 5
    with pytest.raises(KeyboardInterrupt):
        curve(tmp_path / "curve", first)
    assert curve(tmp_path / "curve", second) == whole
    assert len(first.points) + len(second.points) == 12
    assert not [path for path in (tmp_path / "curve").iterdir() if path.is_dir()]
    third = Trainer()
    curve(tmp_path / "curve", third, repeats=4)
    assert [point.seed for point in third.points] == [8] * 4


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"test": NaN}', b'{"test": {}}', b"\xff"])
def test_a_point_that_was_damaged_is_named(tmp_path: Path, damage: bytes) -> None:
    curve(tmp_path / "curve", Trainer())
    point = tmp_path / "curve" / f"{SCRATCH}-10-5.json"
    point.write_bytes(damage)
    with pytest.raises(RunError, match=point.name):
        curve(tmp_path / "curve", Trainer())


def test_a_share_of_a_split_in_the_order_of_its_file() -> None:
    train, valid = subset(DIVISION, 30, 1)
    assert [row.row for row in train] == sorted(row.row for row in train)
    assert len(valid) == 6
    assert sum(row.label == "b" for row in train) == pytest.approx(10, abs=1)
    assert len(subset(DIVISION, 2, 1)[1]) == 2  # one of each class


def test_counts_are_checked_against_the_texts() -> None:
    assert label_counts([40, 10], [0.5, 1.0], DIVISION) == [10, 30, 40, 60]
    for counts, fractions in (([1], []), ([61], []), ([], [0.01])):
        with pytest.raises(UsageError, match=r"needed: from 2 \(one for each class\) to 60"):
            label_counts(counts, fractions, DIVISION)
    nothing = Division(DIVISION.train, DIVISION.valid, [], DIVISION.classes)
    with pytest.raises(DataError, match="measured on test texts"):
        label_counts([10], [], nothing)


def test_table_picture_and_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = curve(tmp_path / "curve", Trainer(), counts=(10, 20, 40))
    show_learning_curve(Messages(), found)
    said = capsys.readouterr().err
    cells = found["points"][0][TRANSFERRED]["macro_f1"]
    assert f"{cells['mean']:.3f} ± {cells['mean'] - cells['low']:.3f}" in said
    assert "Macro F1 by the number of labels (mean of 3, 95% interval over seeds, 30 test" in said
    assert "10 labels: transferred is ahead of TF-IDF baseline by 15.0 points of macro F1" in said
    assert (
        "transferred loses to from scratch by 2.0 points of macro F1 (-7.0 to +3.0: may be" in said
    )
    paths = write_learning_curve(found, tmp_path)
    assert [path.name for path in paths] == ["learning_curve.svg", "learning_curve.png"]
    svg = read(paths[0])
    assert {"transferred", "from scratch", "TF-IDF baseline", "10", "40"} <= set(texts(svg))
    lines = [[y for _, y in line] for line in curves(svg) if len(line) == 3]
    heights = [(line[0] - line[1]) / (line[0] - line[2]) for line in lines]
    assert heights == pytest.approx([1 / 3] * 6, abs=1e-4)  # as from 10 to 20 to 40


def test_one_repeat_of_one_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = curve(tmp_path / "curve", Trainer(), (SCRATCH, BASELINE), repeats=1)
    show_learning_curve(Messages(), found)
    said = capsys.readouterr().err
    assert (
        "from scratch is ahead of TF-IDF baseline by 15.0 points of macro F1 (one repeat)" in said
    )
    assert "transferred" not in said
    assert write_learning_curve(found, tmp_path)
