"""scripts/label_notes.py: every note with its own label."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import label_notes

CORPUS = Path(__file__).resolve().parents[2] / "corpora" / "clinical_notes"


@pytest.mark.parametrize("label", ["specialty", "form"])
def test_notes_and_labels_belong_together(label: str, tmp_path: Path) -> None:
    label_notes.main(["--out", str(tmp_path), "--label", label])
    for split, number in (("train", 1310), ("valid", 115), ("test", 115)):
        with (tmp_path / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == number
        text = (CORPUS / f"{split}.txt").read_text("utf-8")
        assert "".join(row["text"] + "\n\n" for row in rows) == text
        table = (CORPUS / "labels" / f"{split}.tsv").read_text("utf-8").splitlines()
        column = table[0].split("\t").index(label)
        assert [row["label"] for row in rows] == [line.split("\t")[column] for line in table[1:]]
    assert len({row["label"] for row in rows}) == {"specialty": 10, "form": 8}[label]
