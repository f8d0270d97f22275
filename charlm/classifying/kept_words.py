"""A classifier's words' model and its weight beside the network <-> files of the model.

terms.txt             the words and pairs of words, one a line, sorted
numbers.safetensors   what `CountedWords` has beside them, and the weights of `Together`

The terms are words of the training text, and words that come often in text without labels.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from charlm.evaluation.counted_words import MOST_WEIGHTS, CountedWords
from charlm.evaluation.together import MOST, Together
from charlm.runs.tensors import Tensors, check_tensors, decode, encode
from charlm.storage.reading import damaged

TERMS: Final = "terms.txt"
NUMBERS: Final = "numbers.safetensors"
_LARGEST: Final = 1e9  # of any number that is believed: with it no score overflows


def files_of(together: Together) -> dict[str, bytes]:
    """The same bytes for the same model."""
    words = together.words
    numbers = {
        "idf": words.idf,
        "coefficients": words.coefficients,
        "intercept": words.intercept,
        "known": words.known,
        "missing": np.array(words.missing),
        "penalty": np.array(words.penalty),
        "weights": np.array(together.weights),
    }
    return {TERMS: term_lines(words.terms), NUMBERS: encode(numbers)}


def together_from(files: Mapping[str, bytes], n_classes: int, where: Path) -> Together:
    """What `files_of` gave. RunError naming the file in `where` that is not as it was."""
    for name in sorted({TERMS, NUMBERS} ^ files.keys()):
        raise damaged(where / name, "is missing" if name not in files else "does not belong there")
    terms = terms_from(files[TERMS], where / TERMS)
    if len(terms) * n_classes > MOST_WEIGHTS:
        raise damaged(
            where / TERMS,
            f"has {len(terms)} terms, more than {MOST_WEIGHTS} weights of {n_classes} classes",
        )
    path = where / NUMBERS
    found = decode(files[NUMBERS], path)
    _check(found, len(terms), n_classes, path)
    words = CountedWords(
        terms,
        found["idf"],
        found["coefficients"],
        found["intercept"],
        found["known"],
        float(found["missing"]),
        float(found["penalty"]),
        n_classes,
    )
    a, b = found["weights"].tolist()
    return Together(words, (a, b))


def term_lines(terms: Sequence[str]) -> bytes:
    """One a line, as they are: in order, and without line breaks."""
    return "".join(f"{term}\n" for term in terms).encode("utf-8")


def terms_from(raw: bytes, path: Path) -> tuple[str, ...]:
    """What `term_lines` gave. RunError naming `path`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, f"is not UTF-8 at byte {error.start}") from error
    *terms, rest = text.split("\n")
    if rest or terms[:1] == [""]:
        raise damaged(path, "does not hold one term a line")
    for number, (before, term) in enumerate(pairwise(terms), 2):
        if before >= term:
            raise damaged(path, f"its terms are not sorted, each once, at line {number}")
    return tuple(terms)


def _check(found: Tensors, terms: int, n_classes: int, path: Path) -> None:
    known = found.get("known", np.empty(0))
    count = len(known) if known.ndim == 1 else 0
    shapes = {
        "idf": (terms,),
        "coefficients": (count, terms),
        "intercept": (count,),
        "missing": (),
        "penalty": (),
        "weights": (2,),
    }
    expected = {name: (shape, np.dtype(np.float64)) for name, shape in shapes.items()}
    hint = f"It does not belong to the {TERMS} beside it; copy the run or the file again."
    check_tensors(found, {**expected, "known": ((count,), np.dtype(np.int64))}, path, hint)
    if not count or (np.diff(known) <= 0).any() or not 0 <= known[0] <= known[-1] < n_classes:
        raise damaged(path, f"has no places of known classes among {n_classes}")
    for name in shapes:
        if (np.abs(found[name]) > _LARGEST).any():
            raise damaged(path, f"tensor {name!r} has a number beyond {_LARGEST:g}")
    for name in ("idf", "missing", "penalty"):
        if (found[name] <= 0).any():
            raise damaged(path, f"tensor {name!r} has a number that is not above 0")
    if (found["weights"] < 0).any() or (found["weights"] > MOST).any():
        raise damaged(path, f"the weights are not from 0 to {MOST:g}")
