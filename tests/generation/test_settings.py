"""Ranges of the options: what is refused, and that the message names option and range."""

import math

import pytest

from charlm.errors import UsageError
from charlm.generation.settings import GenerationSettings, SamplingSettings


@pytest.mark.parametrize(
    ("settings", "name", "value", "needed"),
    [
        *[
            (SamplingSettings, "temperature", v, "a number from 0")
            for v in (math.nan, math.inf, -0.1, True, "hot", None)
        ],
        *[
            (SamplingSettings, "top_p", v, "a number from 0 to 1, or none")
            for v in (math.nan, -math.inf, -1e-9, 1.0000001)
        ],
        *[
            (SamplingSettings, "top_k", v, "a whole number from 1, or none")
            for v in (0, -1, 2.5, math.nan)
        ],
        *[(GenerationSettings, "length", v, "a whole number from 0") for v in (-1, 0.5)],
        (GenerationSettings, "length_unit", "words", "tokens | characters"),
        (GenerationSettings, "num_samples", 0, "a whole number from 1"),
        (GenerationSettings, "seed", -1, "a whole number from 0"),
    ],
)
def test_outside_the_range(settings, name, value, needed):
    with pytest.raises(UsageError) as caught:
        settings(**{name: value})
    option = "--" + name.replace("_", "-")
    assert caught.value.what.startswith(f"{option} is {value}; needed: {needed}")
    assert caught.value.hint


def test_inside_the_range():
    assert SamplingSettings(temperature=0, top_k=1, top_p=0).top_p == 0
    assert SamplingSettings(top_k=10**12, top_p=1).top_k == 10**12
    assert GenerationSettings(length=0, length_unit="characters", seed=2**63).length == 0


def test_what_greedy_would_ignore_is_refused():
    for name, value in (("temperature", 0.5), ("top_k", 3), ("top_p", 0.9)):
        with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
            SamplingSettings(greedy=True, **{name: value})
    assert SamplingSettings(greedy=True).greedy


def test_an_empty_stop_text_is_refused():
    with pytest.raises(UsageError, match="--stop"):
        GenerationSettings(stop=("###", ""))
