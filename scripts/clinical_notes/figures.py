"""What there is to say about the corpus in numbers."""

import re
from collections import Counter

from clinical_notes.corpus import NOTES, notes_of

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_SENTENCE = re.compile(r"(?<=[.:;])\s+|\n")
SIZES = (1_000, 10_000, 30_000, 100_000)
LONG = 40  # characters: "NKDA." and "Nil of note." repeat in any hospital


def figures(files: dict[str, str], beside: dict[str, str] | None = None) -> str:
    """Figures as Markdown; `beside`: other texts by their names, whose words are counted too."""
    rows = []
    for split in NOTES:
        text, bits = files[f"{split}.txt"], _total_bits(files[f"bits/{split}.tsv"])
        rows.append(
            f"- {split}: {len(notes_of(text))} notes, {len(text)} characters, {bits:.0f} bits, "
            f"{bits / len(text):.4f} bits per character"
        )
    notes = [note for split in NOTES for note in notes_of(files[f"{split}.txt"])]
    words = _words("\n".join(notes))
    numbers = {n for note in notes for n in re.findall(r"\d[\d./:]*", note)}
    rows.append(
        f"- {len(words)} words, {len(set(words))} distinct (type/token "
        f"{len(set(words)) / len(words):.4f}); {len(numbers)} distinct numbers"
    )
    rows += [_repetition(notes), ""]
    sizes = (*(size for size in SIZES if size < len(words)), len(words))
    rows += ["| distinct words in the first |" + "".join(f" {size:,} |" for size in sizes)]
    rows += ["|---|" + "---|" * len(sizes), _curve("these notes", words, sizes)]
    rows += [_curve(name, _words(text), sizes) for name, text in (beside or {}).items()]
    return "\n".join(rows)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _curve(name: str, words: list[str], sizes: tuple[int, ...]) -> str:
    """Types against tokens, as a row of a table; nothing beyond the end of the text."""
    counts = [f"{len(set(words[:size])):,}" if size <= len(words) else "" for size in sizes]
    return f"| {name} | " + " | ".join(counts) + " |"


def _total_bits(table: str) -> float:
    return sum(float(row.rsplit("\t", 1)[1]) for row in table.splitlines()[1:])


def _repetition(notes: list[str]) -> str:
    sentences = [{s for s in _SENTENCE.split(note) if len(s) >= LONG} for note in notes]
    found_in = Counter(s for note in sentences for s in note)
    repeating = sum(any(found_in[s] > 1 for s in note) for note in sentences)
    total = sum(len(note) for note in sentences)
    again = sum(found_in[s] > 1 for note in sentences for s in note)
    return (
        f"- sentences of {LONG} characters or more: {total}, of which {again / total:.3f} occur in "
        f"another note too; {repeating / len(notes):.3f} of the notes hold at least one such"
    )
