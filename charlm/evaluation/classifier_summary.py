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
from charlm.evaluation.counted_words import CountedWords
from charlm.evaluation.latent_semantics import LatentSemantics
from charlm.evaluation.together import Together, fit_weights


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
    semantics: LatentSemantics | None = None,
) -> tuple[dict[str, Any], Together | None]:
    """temperature; the figures of `valid`, `test`, `baseline`, `words` and `together`; calibration
    and comparison. And network and words together, where there is a baseline.

    parts: "valid" and "test"; one without texts has no figures (None). The temperature is
    fitted on valid and all probabilities are at it. Baseline, calibration and the paired
    comparison with the baseline are of test, or of valid where there is no test. `words`: of the
    words' model that also knows `semantics`, which then takes the baseline's place in `together`;
    None without them. What `together` has is of test, and None where its weights were not fitted
    on valid.
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
    summary |= dict.fromkeys(("baseline", "words", "calibration", "comparison", "together"))
    if not len(measured.labels):
        return summary, None
    summary["calibration"] = {"part": name} | calibration_figures(
        measured.logits, measured.labels, temperature
    )
    if not baseline:
        return summary, None
    from charlm.evaluation.tfidf_baseline import fit_words

    def fitted(semantics: LatentSemantics | None) -> CountedWords:
        # What it is measured on must not choose its penalty.
        held_out = (valid.texts, valid.labels) if name == "test" else None
        return fit_words(
            train_texts, train_labels, len(classes), class_weights, seed, held_out, semantics
        )

    answers = {"network": np.argmax(probabilities[name], axis=1)}
    counting = {"baseline": fitted(None)} | ({"words": fitted(semantics)} if semantics else {})
    for kind, model in counting.items():
        theirs = model.probabilities(measured.texts)
        answers[kind] = np.argmax(theirs, axis=1)
        summary[kind] = figures(measured.labels, theirs, classes)
    compared = {
        kind: paired_bootstrap(measured.labels, answers["network"], answers[kind], seed)
        for kind in counting
    }
    summary["comparison"] = compared["baseline"]
    if semantics:
        summary["words"] |= {"comparison": compared["words"]}
    words = counting[kind]  # the one that knows most
    weights = fit_weights(valid.logits, words.log_probabilities(valid.texts), valid.labels)
    both = Together(words, weights)
    if name == "test" and len(valid.labels):
        found = both.probabilities(test.logits, test.texts)
        ours = np.argmax(found, axis=1)
        summary["together"] = figures(test.labels, found, classes) | {
            "weights": dict(zip(("network", kind), weights, strict=True)),
            "ahead_of": {
                other: paired_bootstrap(test.labels, ours, its, seed)
                for other, its in answers.items()
            },
        }
    return summary, both
