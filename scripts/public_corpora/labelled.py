"""Texts with labels, as CSV with the columns text and label."""

import csv
import tarfile
from collections.abc import Iterable
from pathlib import Path

from charlm.errors import DataError

_AG_NEWS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}


def imdb(sources: list[Path], folder: Path) -> list[str]:
    """train.csv and test.csv with labels pos and neg; unsup.txt, a review a line, without.

    Reviews in the order of their file names, label by label; `<br />` is left as it is.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    with tarfile.open(sources[0], "r:gz") as archive:
        for member in archive:  # read as it comes: nothing is unpacked under its own name
            path = member.name.split("/")
            if member.isfile() and len(path) == 4 and path[3].endswith(".txt"):
                content = archive.extractfile(member)
                assert content is not None
                found.setdefault((path[1], path[2]), {})[path[3]] = content.read().decode("utf-8")
    for part in ("train", "test"):
        if not all((part, label) in found for label in ("neg", "pos")):
            raise DataError(
                f"{sources[0].name} has no {part}/neg and {part}/pos",
                "Give the archive as it is at its public address.",
            )
        rows = [
            (text, label)
            for label in ("neg", "pos")
            for _, text in sorted(found[part, label].items())
        ]
        _write(folder / f"{part}.csv", rows)
    unlabelled = [text for _, text in sorted(found.get(("train", "unsup"), {}).items())]
    with (folder / "unsup.txt").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(" ".join(text.splitlines()) + "\n" for text in unlabelled)
    return [f"unsup.txt: {len(unlabelled):,} reviews without a label, one a line"]


def ag_news(sources: list[Path], folder: Path) -> list[str]:
    """Headline, a space, and the description; the numbers of the classes become their names."""
    for part, source in zip(("train", "test"), sources, strict=True):
        rows = []
        with source.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if len(row) != 3 or row[0] not in _AG_NEWS:
                    raise DataError(
                        f"{source.name} row {number} is not a class from 1 to 4, a headline and "
                        "a description",
                        "Give the file as it is at its public address.",
                    )
                rows.append((f"{row[1]} {row[2]}", _AG_NEWS[row[0]]))
        _write(folder / f"{part}.csv", rows)
    return []


def _write(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(rows)
