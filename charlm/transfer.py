"""Starting from another run's weights (`--init-from`): its shapes, and its rows for our tokens.

Howard & Ruder (2018), sec. 3.2, and their code: what both vocabularies have keeps its row of the
embedding and of the decoder; what is new starts at the mean of all rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charlm.config import SETTINGS, Config
from charlm.contradictions import contradictions
from charlm.errors import UsageError
from charlm.loaded import Model
from charlm.model.cluster_ranks import clusters_for, cutoffs_of
from charlm.model.ngram_rows import CODES
from charlm.runs.export import read_model
from charlm.runs.tensors import Tensors
from charlm.settings import AUTO
from charlm.text.tokenizers.base import Tokenizer

# What the weights of the other run decide; what is left of `model` is how new ones would start.
_DECIDED = tuple(
    f"model.{name}"
    for name in (
        "cell", "layers", "hidden_size", "last_hidden_size", "embedding_size", "tie_weights",
        "softmax", "cutoffs", "ngram_order", "ngram_rows", "nonlinearity", "context", "bias",
        "direction",
    )
)  # fmt: skip
_KIND = "tokenizer.tokenizer"
# Zoneout is part of what the network computes, in evaluation too.
_ZONEOUT = tuple(
    f"regularisation.{name}" for name in ("temporal_dropout", "temporal_dropout_kind", "dropout")
)
_USELESS = ("model.init", "model.forget_bias")
_BY_TOKEN = ("embedding.weight", "decoder.weight", "decoder.bias")  # (V, ...)
_NGRAMS = ("model.ngram_order", "model.ngram_rows")


@dataclass(frozen=True)
class Mapped:
    """Weights whose rows are those of another vocabulary."""

    weights: Tensors
    shared: int  # tokens that both vocabularies have
    tokens: int


def source_of(config: Config) -> Model | None:
    """The model that `model.init_from` names; RunError where it is none."""
    path = config.model.init_from
    return None if path is None else Model(read_model(path))


def adopted(
    config: Config, given: Sequence[str], source: Model | None, named: str = "--init-from"
) -> Config:
    """The configuration with what `source` decides: its shapes, and its way of tokenizing and its
    zoneout where nothing else is asked for. named: how a person names it, for what is said.

    UsageError where something else is asked for than its weights have.
    """
    if source is None:
        return config
    values: dict[str, Any] = {}
    problems = [
        f"{SETTINGS[key].option} is given, and {named} brings weights that have begun"
        for key in _USELESS
        if key in given
        and config.get(key) not in (AUTO, SETTINGS[key].default, source.config.get(key))
    ]
    for key in _DECIDED:
        value, asked = source.config.get(key), config.get(key)
        if key in _NGRAMS and value == AUTO:  # older than the setting
            value = 1
        values[key] = value
        if key == "model.last_hidden_size" and value == AUTO:
            value = source.config.model.hidden_size
        if key in given and asked not in (value, AUTO):
            problems.append(f"{SETTINGS[key].option} is {asked}, and the run has {value}")
    found = config.with_values(values)
    # What an option needs may not be in the network that it is given to.
    problems += contradictions(found)
    if problems:
        raise UsageError(
            f"{named} {config.model.init_from}: " + "; ".join(problems),
            "Leave out these options, or start from nothing.",
        )
    values = {}
    if config.tokenizer.tokenizer == source.tokenizer.kind or _KIND not in given:
        values |= {
            key: source.config.get(key)
            for key in SETTINGS
            if key.startswith("tokenizer.") and key not in given
        }
    if source.config.zoneout and not set(_ZONEOUT) & set(given):
        values |= {key: source.config.get(key) for key in _ZONEOUT}
    return found.with_values(values)


def mapped(weights: Mapping[str, Any], source: Tokenizer, target: Tokenizer) -> Mapped:
    """`weights` with a row for each token of `target`: the one of the same token of `source`,
    or the mean of them all. N-grams of tokens of `source` keep their vectors."""
    place = {source.token_identity(token): token for token in range(source.vocabulary_size)}
    rows = np.array(
        [place.get(target.token_identity(token), -1) for token in range(target.vocabulary_size)]
    )
    known = rows >= 0
    found: Tensors = {}
    for name, array in weights.items():
        if name not in _BY_TOKEN:
            found[name] = array
            continue
        found[name] = np.empty((len(rows), *array.shape[1:]), array.dtype)
        found[name][known] = array[rows[known]]
        found[name][~known] = array.mean(axis=0, dtype=np.float64)
    if cutoffs_of(weights):
        found |= clusters_for(weights, rows, target.grammar.legal)
    if CODES in weights:
        codes = weights[CODES]
        new = codes.max() + 1 + np.arange(len(rows), dtype=codes.dtype)
        found[CODES] = np.where(known, codes[rows], new)
    return Mapped(found, int(known.sum()), len(rows))
