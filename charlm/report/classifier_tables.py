"""What is read of a classifier: the network beside its baseline, then class by class."""

from collections.abc import Mapping
from typing import Any

from charlm.report.classifier_pictures import shortened
from charlm.report.console import Messages

_MOST_CLASSES = 40  # in the table: of more, those with the lowest F1
_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro F1", "nats": "nats"}


def show_classifier(messages: Messages, summary: Mapping[str, Any]) -> None:
    """Tables and plain words on standard error."""
    part = "test" if summary["test"] else "valid"
    measured = summary[part]
    if measured is None:
        messages.say("There are no texts to measure the classifier on: --test or --test-fraction.")
        return
    baseline = summary["baseline"]
    columns = {f"network, {part}": measured}
    if part == "test" and summary["valid"]:
        columns = {"network, valid": summary["valid"], **columns}
    if baseline:
        columns[f"TF-IDF baseline, {part}"] = baseline
    if summary.get("words"):
        columns[f"words, unlabelled too, {part}"] = summary["words"]
    if summary.get("together"):
        columns[f"both together, {part}"] = summary["together"]
    rows: list[tuple[Any, ...]] = [
        (name, *(f"{figures[key]:.3f}" for figures in columns.values()))
        for key, name in _FIGURES.items()
    ]
    rows.append(("texts", *(f"{figures['n']:,}" for figures in columns.values())))
    messages.table("The classifier:", rows, ("", *columns))
    _show_classes(messages, measured["per_class"])
    calibration = summary["calibration"]
    messages.say(
        f"Calibration: probabilities are off by {calibration['after']:.3f} on average "
        f"({calibration['before']:.3f} before the temperature {summary['temperature']:.3g})."
    )
    if part == "valid":
        messages.say(
            "The network's best step and its temperature were chosen on these very texts, which "
            "flatters it: --test or --test-fraction measures on others."
        )
    if summary["comparison"]:
        messages.say(verdict(summary["comparison"], "the baseline"))
    if summary.get("words"):
        messages.say(verdict(summary["words"]["comparison"], "words counted without labels too"))
    if summary.get("together"):
        messages.say(verdict_of_both(summary["together"]))


def verdict(comparison: Mapping[str, Any], other: str) -> str:
    """Whether the network is worth it against what it is compared with, in plain words."""
    found = comparison["macro_f1"]
    points = 100 * found["difference"]
    interval = (
        f"{abs(points):.1f} points of macro F1 ({comparison['level']:.0%} interval of the "
        f"difference: {100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    )
    accuracy = f"accuracy {100 * comparison['accuracy']['difference']:+.1f} points"
    if found["low"] > 0:
        return f"The network is ahead of {other} by {interval}; {accuracy}."
    if found["high"] < 0:
        return (
            f"The network LOSES to {other} by {interval}; {accuracy}. On these texts, "
            "counting words is the better classifier."
        )
    if points < 0:
        return (
            f"The network LOSES to {other} by {interval}; {accuracy}. With so few texts this "
            "may be chance, but nothing speaks for the network."
        )
    return (
        f"The network is not clearly ahead of {other}: {interval}; {accuracy}. With so few "
        "texts this may be chance."
    )


def verdict_of_both(together: Mapping[str, Any]) -> str:
    """Whether network and words together are better than each, in plain words."""
    said: dict[str, list[str]] = {}
    for name, comparison in together["ahead_of"].items():
        found = comparison["macro_f1"]
        low, high = found["low"], found["high"]
        how = "ahead of" if low > 0 else "BEHIND" if high < 0 else "not clearly ahead of"
        said.setdefault(how, []).append(
            f"the {name} ({100 * found['difference']:+.1f} points of macro F1, "
            f"{comparison['level']:.0%} interval {100 * low:+.1f} to {100 * high:+.1f})"
        )
    parts = [f"{how} {' and '.join(names)}" for how, names in said.items()]
    return f"Both together (charlm classify --together) are {', '.join(parts)}."


def _show_classes(messages: Messages, per_class: Mapping[str, Any]) -> None:
    shown = sorted(per_class, key=lambda name: per_class[name]["f1"])[:_MOST_CLASSES]
    title = "Class by class:"
    if len(per_class) > len(shown):
        title = f"The {len(shown)} of {len(per_class)} classes with the lowest F1:"
    rows: list[tuple[Any, ...]] = []
    for name in (name for name in per_class if name in set(shown)):
        figures = per_class[name]
        taken = sorted(figures["taken_for"].items(), key=lambda item: (-item[1], item[0]))[:1]
        rows.append(
            (
                shortened(name),
                *(f"{figures[key]:.3f}" for key in ("precision", "recall", "f1")),
                f"{figures['n']:,}",
                ", ".join(f"{shortened(other)} {count}" for other, count in taken),
            )
        )
    messages.table(title, rows, ("class", "precision", "recall", "F1", "texts", "taken for"))
