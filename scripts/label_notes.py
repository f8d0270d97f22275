"""The notes of corpora/clinical_notes with a label each, as CSV: what a classifier is trained on.

python scripts/label_notes.py --out data/notes                       train.csv, valid.csv, test.csv
python scripts/label_notes.py --out data/notes --label diagnosis     or severity, or form
"""

import argparse
import csv
from pathlib import Path

from clinical_notes.corpus import NOTES, notes_of

CORPUS = Path(__file__).resolve().parent.parent / "corpora" / "clinical_notes"
LABELS = ("specialty", "diagnosis", "severity", "form")


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--label", choices=LABELS, default=LABELS[0])
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    for split in NOTES:
        notes = notes_of((CORPUS / f"{split}.txt").read_text("utf-8"))
        with (CORPUS / "labels" / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
            labels = [row[options.label] for row in csv.DictReader(file, delimiter="\t")]
        with (options.out / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("text", "label"))
            writer.writerows(zip(notes, labels, strict=True))


if __name__ == "__main__":
    main()
