"""Text for the tests: English-like, made from a few rules, the same every time."""

import random

_NOUNS = [
    "keeper",
    "harbour",
    "lamp",
    "river",
    "garden",
    "letter",
    "winter",
    "captain",
    "village",
    "morning",
    "engine",
]
_VERBS = [
    "carried",
    "watched",
    "repaired",
    "followed",
    "remembered",
    "counted",
    "painted",
    "left",
    "found",
]
_PLACES = ["under the bridge", "before noon", "in the rain", "behind the mill", "without a word"]


def english(sentences, seed=1):
    """So many sentences, one a line."""
    rng = random.Random(seed)
    lines = []
    for _ in range(sentences):
        subject, thing = rng.choice(_NOUNS), rng.choice(_NOUNS)
        lines.append(f"The {subject} {rng.choice(_VERBS)} the {thing} {rng.choice(_PLACES)}.\n")
    return "".join(lines)
