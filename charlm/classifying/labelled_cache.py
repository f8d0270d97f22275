"""Labelled texts in a run's cache: their tokens as any run has them, and their labels beside.

With both, training, measuring and the baseline need the person's table no more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from charlm.errors import RunError
from charlm.storage.atomic import write_atomically
from charlm.storage.reading import TEXT_LIMIT, damaged, read_regular
from charlm.text.labelled import LabelledRow
from charlm.text.labelled_splits import Division
from charlm.text.sources import Source, at_hand
from charlm.text.splits import PARTS
from charlm.text.stored import read_sealed, sealed
from charlm.text.text_ids import documents_of
from charlm.text.token_cache import TokenCache, prepare
from charlm.text.tokenizers.base import Tokenizer, TokenizerSettings

LABELS = "labels.json"
_MOST_BYTES = 64 * TEXT_LIMIT  # a hundred million texts


_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    classes: list[str]
    labels: dict[str, list[_Number]]  # of each part, by the place in `classes`
    rows: dict[str, list[_Number]]  # where each text stood in its table
    sha256: str = ""  # of the same without it
    format: int = 1


@dataclass(frozen=True)
class LabelledTexts:
    """The texts of each part that there is, as tokens, with their labels."""

    classes: tuple[str, ...]
    ids: Mapping[str, list[npt.NDArray[Any]]]
    labels: Mapping[str, npt.NDArray[np.int64]]
    rows: Mapping[str, list[int]]

    def lengths(self, part: str) -> npt.NDArray[np.int64]:
        """The tokens of each text of a part."""
        return np.array([len(text) for text in self.ids[part]], np.int64)

    def texts(self, part: str, tokenizer: Tokenizer) -> list[str]:
        """The texts themselves; nothing is lost in their tokens unless that was asked for."""
        return [tokenizer.decode(ids) for ids in self.ids[part]]


def sources_of(rows: list[LabelledRow]) -> list[Source]:
    """The texts as documents."""
    return [at_hand(f"the text of row {row.row}", row.text) for row in rows]


def write_texts(
    division: Division,
    folder: Path,
    fit_or_tokenizer: TokenizerSettings | Tokenizer,
    grow: bool,
    progress: Callable[[int], None],
    say: Callable[[str], None],
) -> tuple[LabelledTexts, Tokenizer]:
    """The parts of a division as tokens and labels in `folder`."""
    cache, tokenizer = prepare(
        sources_of(division.train),
        folder=folder,
        fit_or_tokenizer=fit_or_tokenizer,
        grow=grow,
        valid=sources_of(division.valid) or None,
        test=sources_of(division.test) or None,
        valid_fraction=0,
        progress=progress,
        say=say,
    )
    stored = _Stored(
        classes=list(division.classes),
        labels={part: division.numbers(part) for part in cache.parts},
        rows={part: [row.row for row in getattr(division, part)] for part in cache.parts},
    )
    write_atomically(folder / LABELS, sealed(stored), 0o600)
    return _together(cache, stored, folder), tokenizer


def open_texts(folder: Path) -> LabelledTexts:
    """What `write_texts` wrote. RunError: it is not there, or not whole."""
    cache = TokenCache.open(folder)
    cache.verify()
    try:
        data = read_regular(folder / LABELS, limit=_MOST_BYTES)
    except OSError as problem:
        raise damaged(folder / LABELS, f"cannot be read: {problem.strerror}") from problem
    stored = read_sealed(data, _Stored, str(folder / LABELS))
    return _together(cache, stored, folder)


def _together(cache: TokenCache, stored: _Stored, folder: Path) -> LabelledTexts:
    ids = {part: documents_of(cache.parts[part]) for part in PARTS if part in cache.parts}
    labels = {part: np.array(stored.labels.get(part, []), np.int64) for part in ids}
    for part in ids:
        found, rows = labels[part], stored.rows.get(part, [])
        if not len(found) == len(rows) == len(ids[part]) or found.max() >= len(stored.classes):
            raise RunError(
                f"{folder / LABELS} does not fit the texts of {part}",
                "Restore the run from a copy, or make it again from the table.",
            )
    return LabelledTexts(tuple(stored.classes), ids, labels, stored.rows)
