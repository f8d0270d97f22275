"""Makes corpora/clinical_notes, or checks it.

python scripts/make_clinical_notes.py            writes train, valid, test, labels and bits
python scripts/make_clinical_notes.py --check    makes them in memory and compares the sha256
python scripts/make_clinical_notes.py --prove    grammar unambiguous; every note parsed again
python scripts/make_clinical_notes.py --figures [FILE ...]    what its README says, and how many
                                                              words real texts have
"""

import argparse
import hashlib
import sys
from pathlib import Path

from clinical_notes.checking import Checker
from clinical_notes.corpus import NOTES, grammar, make, notes_of, read_bits
from clinical_notes.derivation import parse
from clinical_notes.figures import figures

FOLDER = Path(__file__).resolve().parent.parent / "corpora" / "clinical_notes"
TOLERANCE = 1e-9  # bits


def write() -> int:
    files = make()
    for name, content in files.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    print(figures(files))
    return 0


def check() -> int:
    """1 if a file is missing or is not what the generator makes."""
    wrong = 0
    for name, content in make().items():
        path = FOLDER / name
        made = hashlib.sha256(content.encode()).hexdigest()
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"
        wrong += made != found
        print(f"{'same' if made == found else 'DIFFERS'}  {made}  {name}")
    return int(wrong > 0)


def prove() -> int:
    """1 if two options can be confused, or a note has not exactly one derivation of its bits."""
    rules = grammar()
    checker = Checker(rules)
    wrong = checker.clashes() + checker.clashing_verdicts()
    for split in NOTES:
        notes = notes_of((FOLDER / f"{split}.txt").read_text(encoding="utf-8"))
        entries = read_bits(FOLDER / "bits" / f"{split}.tsv")
        for index, (text, entry) in enumerate(zip(notes, entries, strict=True)):
            found = parse(rules, text)
            if len(found) != 1 or abs(found[0].bits - entry.bits) > TOLERANCE:
                wrong.append(f"{split} {index}: {len(found)} derivations")
        print(f"{split}: {len(notes)} notes parsed")
    print("\n".join(wrong) or "every note has exactly one derivation, of the bits stored")
    return int(bool(wrong))


def show(beside: list[Path]) -> int:
    """The figures of the stored files, with the words of other texts beside."""
    files = {
        name: (FOLDER / name).read_text(encoding="utf-8")
        for split in NOTES
        for name in (f"{split}.txt", f"bits/{split}.tsv")
    }
    print(figures(files, {path.stem: path.read_text(encoding="utf-8") for path in beside}))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare the files with the generator")
    mode.add_argument("--prove", action="store_true", help="check the grammar, parse every note")
    mode.add_argument("--figures", nargs="*", type=Path, metavar="FILE", help="count words")
    options = parser.parse_args()
    if options.figures is not None:
        return show(options.figures)
    if options.check:
        return check()
    return prove() if options.prove else write()


if __name__ == "__main__":
    sys.exit(main())
