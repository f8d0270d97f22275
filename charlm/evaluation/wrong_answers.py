"""The wrong answers that a classifier was surest of, with their texts: a file in the run.

What stands first is often a wrong label, two labels in one text, or a class that has two names.
The file holds the person's text, so it is for its owner only and stays in the run directory.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from charlm.evaluation.classification import FloatArray, IntArray
from charlm.storage.atomic import write_atomically

FILE: Final = "wrong_answers.jsonl"
MOST: Final = 200


def wrong_answers(
    texts: Sequence[str],
    rows: Sequence[int],
    labels: IntArray,
    probabilities: FloatArray,
    classes: Sequence[str],
    most: int = MOST,
) -> list[dict[str, Any]]:
    """The surest first: row, label, answer, the probability of each, and the text."""
    answers = probabilities.argmax(axis=1)
    places = np.arange(len(labels))
    sure = probabilities[places, answers]
    wrong = places[answers != labels]
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:most]
    return [
        {
            "row": rows[place],
            "label": classes[labels[place]],
            "answer": classes[answers[place]],
            "probability": float(sure[place]),
            "probability_of_label": float(probabilities[place, labels[place]]),
            "text": texts[place],
        }
        for place in wrong.tolist()
    ]


def write_wrong_answers(run: Path, answers: Sequence[dict[str, Any]]) -> Path:
    """Put them into the run, one JSON object a line. MachineError."""
    path = run / FILE
    lines = "".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
    write_atomically(path, lines.encode("utf-8"), mode=0o600)
    return path
