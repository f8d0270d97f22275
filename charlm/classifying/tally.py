"""How well texts with labels are classified, while they stream by."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from charlm.classifying.loaded import Classified
from charlm.errors import DataError
from charlm.evaluation.classification import figures


class Tally:
    """The labels of the texts so far, and the probabilities that they were given."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self._place = {name: number for number, name in enumerate(classes)}
        self._labels: list[int] = []
        self._probabilities: list[np.ndarray] = []

    def add(
        self, labels: Sequence[str | None], answers: Sequence[Classified], rows: Sequence[int]
    ) -> None:
        """Take in texts of these rows. DataError: a label that no class has."""
        for label, row in zip(labels, rows, strict=True):
            if label not in self._place:
                what = "no label" if label is None else f"the label {label[:40]!r}"
                raise DataError(
                    f"row {row} has {what}, and the classifier knows: "
                    + ", ".join(name[:40] for name in self.classes[:10])
                    + (", ..." if len(self.classes) > 10 else ""),
                    "Leave --label-column out, or mend the table.",
                )
            self._labels.append(self._place[label])
        found = [list(answer.probabilities.values()) for answer in answers]
        self._probabilities.append(np.array(found, np.float32).reshape(-1, len(self.classes)))

    def figures(self) -> dict[str, Any]:
        """accuracy, macro_f1, nats, n, per_class. DataError without a single text."""
        if not self._labels:
            raise DataError("there are no texts to measure on", "Give some.")
        probabilities = np.concatenate(self._probabilities).astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return figures(np.array(self._labels), probabilities, self.classes)
