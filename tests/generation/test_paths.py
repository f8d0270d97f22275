"""Paths of a series: the model's own distribution over numbers, and nothing else."""

from typing import Any

import numpy as np
import pytest

from charlm.generation.compiled import CompiledDecoder
from charlm.generation.decoder import Decoder
from charlm.generation.paths import PathDrawer
from charlm.model.cells.lstm import LSTM
from charlm.text.levels import Levels
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

from .models import lstm_weights

TOKENIZER = fit_tokenizer(
    TokenizerSettings(kind="word", word_split="whitespace", min_count=1),
    ["80 82 84 ? 86 word\n"],
)
LEVELS = Levels(TOKENIZER, "a run")


class Chain:
    """A decoder whose next level is one up or down from the last with 0.7 and 0.3, in a circle,
    and that would rather write something else."""

    together = 1

    def empty_state(self, streams: int) -> Any:
        return np.zeros(streams, np.int64)

    def advance(self, ids: Any, state: Any) -> Any:
        return np.array([int(token) for token in ids])

    def logits(self, state: Any) -> Any:
        found = np.full((len(state), TOKENIZER.vocabulary_size), 20.0)
        found[:, LEVELS.tokens] = -30.0
        for row, token in enumerate(state.tolist()):
            place = int(np.flatnonzero(LEVELS.tokens == token)[0])
            found[row, LEVELS.tokens[(place + 1) % 4]] = np.log(0.7)
            found[row, LEVELS.tokens[(place - 1) % 4]] = np.log(0.3)
        return found


def test_paths_follow_the_models_distribution() -> None:
    drawer = PathDrawer(Chain(), TOKENIZER, LEVELS)
    ids = LEVELS.encode(np.array([84.0, 82.0])).ids
    early, late = drawer.states(ids, [1, 2])
    paths = drawer.draw(late, 3, 4000, seed=1)
    assert paths.shape == (4000, 3)
    levels = np.round((paths - 80) / 2) * 2 + 80
    assert np.mean(levels[:, 0] == 84) == pytest.approx(0.7, abs=0.03)
    assert set(levels[:, 0].tolist()) == {80, 84}
    # Two steps on: up and up, or down and down, both to 86; else back to 82.
    assert np.mean(levels[:, 1] == 86) == pytest.approx(0.49 + 0.09, abs=0.03)
    within = (paths - levels).ravel()
    assert np.abs(within).max() <= 1 and np.std(within) == pytest.approx(3**-0.5, abs=0.02)
    assert set(np.round(drawer.draw(early, 1, 50, 1)[:, 0] / 2).tolist()) <= {41, 43}


def test_a_path_is_the_same_whatever_their_number() -> None:
    drawer = PathDrawer(Chain(), TOKENIZER, LEVELS)
    (state,) = drawer.states(LEVELS.encode(np.array([84.0])).ids, [1])
    few, many = (drawer.draw(state, 4, count, seed=1) for count in (3, 20))
    np.testing.assert_array_equal(few, many[:3])
    assert not np.array_equal(many, drawer.draw(state, 4, 20, seed=2))
    assert not np.array_equal(many, drawer.draw(state, 4, 20, seed=1, number=1))


def test_the_compiled_decoder_draws_the_same_paths() -> None:
    """Up to bf16 weights: the same tokens nearly everywhere, from the same numbers."""
    weights = lstm_weights(TOKENIZER.vocabulary_size, 5, 6, 2, tied=False)
    compiled = CompiledDecoder(LSTM(), weights, True, 0.0, 1, lambda said: None)
    found = []
    for decoder in (Decoder(LSTM(), weights), compiled):
        drawer = PathDrawer(decoder, TOKENIZER, LEVELS)
        (state,) = drawer.states(LEVELS.encode(np.array([84.0, 80.0])).ids, [2])
        found.append(drawer.draw(state, 5, 200, seed=1))
    assert np.mean(np.abs(found[0] - found[1]) < 1e-6) > 0.97
