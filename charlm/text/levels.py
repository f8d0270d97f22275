"""The numbers among the words of a tokenizer: what a model of a series can read and write."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charlm.errors import RunError
from charlm.text.series import MISSING, Values
from charlm.text.tokenizers.base import Tokenizer


class Encoded(NamedTuple):
    """A series as tokens (N,), and how many of its values are not what the tokens say."""

    ids: npt.NDArray[np.intp]
    missing: int
    outside: int


class Levels:
    """K numbers in rising order (K,), and the token of each (K,); `missing`: the token of "?".

    RunError: fewer than two words are numbers.
    """

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        tokens: dict[float, int] = {}
        self.missing: int | None = None
        self.vocabulary_size = tokenizer.vocabulary_size
        for token in range(tokenizer.vocabulary_size):
            of_what, word = tokenizer.token_identity(token)
            if of_what == "word" and word == MISSING:
                self.missing = token
            elif of_what == "word" and (value := _number(str(word))) is not None:
                tokens.setdefault(value, token)
        if len(tokens) < 2:
            raise RunError(
                f"{name} has learned no series: {len(tokens)} of its tokens are numbers",
                "Make a text of a series by charlm quantise, and train with --preset series.",
            )
        self.values = np.array(sorted(tokens))
        self.tokens = np.array([tokens[value] for value in self.values.tolist()])
        self.step = float(np.diff(self.values).min())

    def encode(self, values: Values) -> Encoded:
        """The token of the nearest level for each value.

        A missing value is "?" where the model knows that word, else what was there before; at the
        beginning, then, it is left out.
        """
        missing = np.isnan(values)
        low, high = self.values[0] - self.step / 2, self.values[-1] + self.step / 2
        outside = int(((values < low) | (values > high)).sum())  # NaN is neither
        if self.missing is None:
            values = carried(values)
            values = values[~np.isnan(values)]
        between = (self.values[1:] + self.values[:-1]) / 2
        ids = self.tokens[np.searchsorted(between, values, "right").clip(0, len(between))]
        if self.missing is not None:
            ids = np.where(missing, self.missing, ids)
        return Encoded(ids.astype(np.intp), int(missing.sum()), outside)


def carried(values: Values) -> Values:
    """Each missing value as the last one before it; NaN where there is none."""
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(places) if len(places) else places
    return np.where(last >= 0, values[last], np.nan)


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in word else None
