"""The corpus as files: notes in splits, their labels, and the bits of each.

A split is the notes one after the other, each followed by a blank line ("\\n\\n"). No note holds
a blank line, and where a note ends follows from its beginning (no note begins another), so
the separator costs 0 bits and the bits of a split are the sum over its notes.
"""

import hashlib
import random
from pathlib import Path
from typing import NamedTuple

from clinical_notes.derivation import Derivation, describe, sample
from clinical_notes.grammar import Grammar
from clinical_notes.notation import read

CONTENT = Path(__file__).parent / "content"
SEED = 20
NOTES = {"train": 1310, "valid": 115, "test": 115}  # 85, 7.5 and 7.5 % of about 2 MB
SEPARATOR = "\n\n"


class Entry(NamedTuple):
    """Where a note lies in its split (characters, without its separator) and its bits."""

    offset: int
    length: int
    bits: float


def grammar() -> Grammar:
    return read(sorted(CONTENT.glob("*.grammar")))


def note(rules: Grammar, split: str, index: int) -> Derivation:
    """One note. Each has a seed of its own, so that any can be made without the others."""
    return sample(rules, random.Random(f"{SEED} {split} {index}"))


def make() -> dict[str, str]:
    """All files of the corpus but its README: name to content."""
    rules = grammar()
    files: dict[str, str] = {}
    texts: set[str] = set()
    for split, count in NOTES.items():
        notes = [note(rules, split, index) for index in range(count)]
        # Redrawing a repeated note would change the distribution; none repeats with this seed.
        assert len({n.text for n in notes} - texts) == count, "a note occurs twice"
        texts |= {n.text for n in notes}
        files[f"{split}.txt"] = "".join(n.text + SEPARATOR for n in notes)
        files[f"labels/{split}.tsv"] = _labels(notes)
        files[f"bits/{split}.tsv"] = _bits(notes)
    files["bits/SHA256SUMS"] = "".join(
        f"{hashlib.sha256(files[f'{split}.txt'].encode()).hexdigest()}  {split}.txt\n"
        for split in NOTES
    )
    return files


def _labels(notes: list[Derivation]) -> str:
    rows = ["index\tspecialty\tdiagnosis\tseverity\tform\n"]
    for index, made in enumerate(notes):
        rows.append("\t".join((str(index), *describe(made.facts), made.facts.values["form"])))
        rows.append("\n")
    return "".join(rows)


def _bits(notes: list[Derivation]) -> str:
    rows, offset = ["index\toffset\tlength\tbits\n"], 0
    for index, made in enumerate(notes):
        # Ten decimals: the check against the parser is to 1e-9.
        rows.append(f"{index}\t{offset}\t{len(made.text)}\t{made.bits:.10f}\n")
        offset += len(made.text) + len(SEPARATOR)
    return "".join(rows)


def read_bits(path: Path) -> list[Entry]:
    """The rows of a bits file."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [Entry(int(offset), int(length), float(bits)) for _, offset, length, bits in rows]


def notes_of(text: str) -> list[str]:
    """The notes of a split."""
    return text.removesuffix(SEPARATOR).split(SEPARATOR)
