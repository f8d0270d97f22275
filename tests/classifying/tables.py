"""Labelled texts of our own making, and the smallest options that learn them."""

import csv
import random

from charlm.text.labelled import LabelledRow

WORDS = {
    "heart": "the heart beats with a murmur and its valve leaks é",
    "bone": "the bone broke near a knee and its joint swells é",
    "skin": "the rash on a red arm itches and its scab peels é",
}

QUICK = {
    "epochs": 2, "batch_size": 8, "threads": 1, "precision": "fp32", "device": "cpu",
    "save_every": 0, "bptt": 8,
}  # fmt: skip
SMALL = {"hidden_size": 12, "embedding_size": 8}


def rows(count=60, classes=("heart", "bone"), seed=1):
    """Texts of 3 to 14 words, each of the words of its class."""
    draw = random.Random(seed)

    def text(label):
        return " ".join(draw.choice(WORDS[label].split()) for _ in range(draw.randint(3, 14)))

    labels = [classes[number % len(classes)] for number in range(count)]
    return [LabelledRow(text(label), label, number + 2) for number, label in enumerate(labels)]


def write(path, found):
    """As CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows((row.text, row.label) for row in found)
    return path


def options(**settings):
    """Settings as words of a command."""
    words = []
    for name, value in settings.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option[2:])
        else:
            words += [option, str(value)]
    return words
