"""The text that a run was trained and measured on, where its tokens are still there."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np

from charlm.errors import DataError, RunError
from charlm.runs.directory import RunDirectory
from charlm.runs.export import StoredModel
from charlm.text.direction import in_reading_order
from charlm.text.part_files import Part
from charlm.text.passages import stretches
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import Tokenizer

_BLOCK = 1 << 20  # tokens


def _parts(stored: StoredModel, direction: str) -> dict[str, Part]:
    """RunError: they are gone or damaged, or do not run in this direction."""
    if stored.kind != "run":
        raise RunError(f"{stored.path} holds no text: it was exported")
    cache = TokenCache.open(RunDirectory.open(stored.path).cache)
    cache.verify(direction, stored.tokenizer_files)
    return cache.parts


def _parts_if_there(stored: StoredModel, direction: str) -> dict[str, Part]:
    """None of them where the model was exported or the text taken away. RunError: damaged."""
    if stored.kind != "run" or not RunDirectory.open(stored.path).cache.exists():
        return {}
    return _parts(stored, direction)


def held_out_part(stored: StoredModel, direction: str, say: Callable[[str], None]) -> Part:
    """The run's test part, else its valid part; DataError where there is neither."""
    hint = "Name a text to measure on."
    try:
        parts = _parts(stored, direction)
    except RunError as error:
        raise DataError(f"the run's own text is not there: {error.what}", hint) from error
    for name in ("test", "valid"):
        if name in parts:
            say(f"Measuring the run's own {name} part.")
            return parts[name]
    raise DataError(f"{stored.path} has neither a test nor a valid part", hint)


def own_text(
    stored: StoredModel, tokenizer: Tokenizer, direction: str, name: str, most: int | None = None
) -> Iterator[str] | None:
    """The text of the run's part `name` in blocks of whole lines, or None where it is not there.
    RunError: it is damaged.

    Of a backward run the blocks come from the end, and each can be read as it is. most: about so
    many characters, in stretches all over the text, if it has more.
    """
    part = _parts_if_there(stored, direction).get(name)
    if part is None:
        return None
    ids, characters = part.ids, part.counts.characters
    share = 1.0 if most is None else min(1.0, most / max(1, characters))
    spans = stretches(len(ids), math.floor(share * len(ids)))
    return chain.from_iterable(_decoded(ids[a:b], tokenizer, direction) for a, b in spans)


def _decoded(ids: np.ndarray, tokenizer: Tokenizer, direction: str) -> Iterator[str]:
    begin = 0
    while begin < len(ids):
        block = ids[begin : begin + _BLOCK]
        if begin + _BLOCK < len(ids):
            # Up to a line break, else to the end of what is whole.
            ends = np.flatnonzero(block == tokenizer.boundary_id) + 1
            if not len(ends):
                ends = np.flatnonzero(tokenizer.grammar.legal[0][block])
            if len(ends) and ends[-1]:
                block = block[: ends[-1]]
        yield tokenizer.decode(in_reading_order(block, tokenizer.grammar, direction))
        begin += len(block)


def training_ids(stored: StoredModel, direction: str) -> np.ndarray | None:
    """The tokens that the run was trained on, or None where they are not there. RunError: they
    are damaged."""
    train = _parts_if_there(stored, direction).get("train")
    return None if train is None else train.ids


def own_parts(stored: StoredModel, direction: str, purposes: Mapping[str, str]) -> list[Part]:
    """The run's parts by their names, and what each is needed for; DataError: not all are there."""
    try:
        parts = _parts(stored, direction)
    except RunError as error:
        (name, purpose), *_ = purposes.items()
        hint = "Name the run itself."
        if stored.kind == "run":
            hint = "Training alone makes it: put back a copy of the run, or train anew."
        raise DataError(
            f"the run's own {name} text, {purpose}, cannot be used: {error.what}", hint
        ) from error
    for name, purpose in purposes.items():
        if name not in parts:
            raise DataError(f"{stored.path} has no {name} text {purpose}", "Train with one.")
    return [parts[name] for name in purposes]


def part_to_choose_on(
    stored: StoredModel, direction: str, measured: np.ndarray, tokens: int
) -> tuple[str, np.ndarray, np.ndarray]:
    """The name, the tokens (N,) and the documents of the text that settings are chosen on: the
    first `tokens` of the run's valid part, or where that is what is `measured`, the last ones of
    its training part.

    DataError: it is not there.
    """
    try:
        parts = _parts(stored, direction)
    except RunError as error:
        raise DataError(
            f"the run's own text, on which to choose, is not there: {error.what}",
            "Give the values yourself.",
        ) from error
    valid = parts.get("valid")
    if valid is not None and not np.array_equal(valid.ids, measured):
        documents = valid.documents[valid.documents < tokens]
        return "valid", valid.ids[:tokens], documents
    train = parts["train"]
    begin = max(0, len(train.ids) - tokens)
    documents = train.documents[train.documents > begin] - begin
    return "training", train.ids[begin:], np.concatenate([[0], documents])
