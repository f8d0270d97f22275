"""Corrected lines as results: objects, or a line for each unknown word with its candidates."""

from typing import TYPE_CHECKING, Any

from charlm.report.output import one_line

if TYPE_CHECKING:
    from charlm.evaluation.spelling import CorrectedLine


def as_object(line: "CorrectedLine") -> dict[str, Any]:
    """What --json shows of a line."""
    return {
        "line": line.text.removesuffix("\n"),
        "words": [
            {
                "word": unknown.place.word,
                "at": unknown.place.begin,
                "correction": unknown.choices[0].candidate.text if unknown.corrected else None,
                "candidates": [[c.candidate.text, c.gain] for c in unknown.choices],
            }
            for unknown in line.unknown
        ],
    }


def candidates(number: int, line: "CorrectedLine") -> str:
    """Line number, word, and gain and text of each candidate, by tabs."""
    shown = ""
    for unknown in line.unknown:
        choices = [f"{c.gain:.2f} {one_line(c.candidate.text)}" for c in unknown.choices]
        shown += "\t".join([str(number), one_line(unknown.place.word), *choices]) + "\n"
    return shown
