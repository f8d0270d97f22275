"""All that is measured of a trained classifier: what `summary.json` says about its answers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from charlm.evaluation.calibration import (
    calibration_figures,
    fit_temperature,
    probabilities_at,
)
from charlm.evaluation.classification import FloatArray, IntArray, figures, paired_bootstrap


class Answered(NamedTuple):
    """The texts of a part, the places of their classes (n,), and the logits (n, C) for them."""

    texts: Sequence[str]
    labels: IntArray
    logits: FloatArray


def classifier_summary(
    train_texts: Sequence[str],
    train_labels: IntArray,
    parts: Mapping[str, Answered],
    classes: Sequence[str],
    *,
    baseline: bool,
    class_weights: str,
    seed: int,
) -> dict[str, Any]:
    """temperature; the figures of `valid`, `test` and `baseline`; calibration and comparison.

    parts: "valid" and "test"; one without texts has no figures (None). The temperature is
    fitted on valid and all probabilities are at it. Baseline, calibration and the paired
    comparison with the baseline are of test, or of valid where there is no test.
    """
    valid, test = parts["valid"], parts["test"]
    temperature = fit_temperature(valid.logits, valid.labels)
    probabilities = {
        name: probabilities_at(part.logits, temperature) for name, part in parts.items()
    }
    summary: dict[str, Any] = {"temperature": temperature}
    for name, part in parts.items():
        known = len(part.labels) > 0
        summary[name] = figures(part.labels, probabilities[name], classes) if known else None
    name = "test" if len(test.labels) else "valid"
    measured = parts[name]
    summary |= {"baseline": None, "calibration": None, "comparison": None}
    if not len(measured.labels):
        return summary
    summary["calibration"] = {"part": name} | calibration_figures(
        measured.logits, measured.labels, temperature
    )
    if baseline:
        from charlm.evaluation.tfidf_baseline import baseline_probabilities

        theirs = baseline_probabilities(
            train_texts,
            train_labels,
            measured.texts,
            len(classes),
            class_weights,
            seed,
            # What it is measured on must not choose its penalty.
            valid=(valid.texts, valid.labels) if name == "test" else None,
        )
        summary["baseline"] = figures(measured.labels, theirs, classes)
        ours = probabilities[name]
        summary["comparison"] = paired_bootstrap(
            measured.labels, np.argmax(ours, axis=1), np.argmax(theirs, axis=1), seed
        )
    return summary
