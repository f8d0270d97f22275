"""Ranges of the options: what is refused, and that the message names option and range."""

import math

import pytest

from charlm.errors import UsageError
from charlm.generation.settings import GenerationSettings, SamplingSettings, settings_of


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
        *[
            (SamplingSettings, name, v, "a number from 0 to 1, or none")
            for name in ("min_p", "typical_p")
            for v in (math.nan, -1e-9, 1.0000001)
        ],
        *[
            (SamplingSettings, "repetition_penalty", v, "a number from 1 to 1000, or none")
            for v in (math.inf, 0.99, 0, 1001)
        ],
        *[
            (SamplingSettings, "beam", v, "a whole number from 1 to 1024, or none")
            for v in (0, -1, 1.5, 1025)
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
    assert SamplingSettings(temperature=0).temperature == 0
    assert SamplingSettings(top_k=10**12, top_p=1, min_p=0, typical_p=1).top_k == 10**12
    assert SamplingSettings(top_p=0, min_p=1, typical_p=0, repetition_penalty=1).top_p == 0
    assert SamplingSettings(greedy=True).greedy
    assert GenerationSettings(length=0, length_unit="characters", seed=2**63).length == 0


CUTS = {"top_k": 3, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.9}


@pytest.mark.parametrize(
    ("certain", "option", "ignored"),
    [
        ({"greedy": True}, "--greedy", {"temperature": 0.5} | CUTS),
        ({"temperature": 0}, "--temperature 0", CUTS),
        (
            {"beam": 2},
            "--beam 2",
            {"temperature": 0.5, "repetition_penalty": 2, "greedy": True} | CUTS,
        ),
    ],
)
def test_what_leaves_nothing_to_chance_refuses_what_it_would_ignore(certain, option, ignored):
    for name, value in ignored.items():
        with pytest.raises(UsageError) as caught:
            SamplingSettings(**certain, **{name: value})
        assert caught.value.what.startswith("--" + name.replace("_", "-") + " is ")
        assert option in caught.value.what and option in caught.value.hint
    assert SamplingSettings(**certain).without_chance == option
    with pytest.raises(UsageError, match=f"--seed is 1, but {option}"):
        settings_of({**certain, "seed": 1})
    if "beam" not in certain:  # a penalty changes which token is the most probable
        assert SamplingSettings(**certain, repetition_penalty=1.2).without_chance == option


def test_drawing_takes_a_seed():
    assert settings_of({"seed": 3, "top_k": 2}).sampling.without_chance is None
    assert settings_of({"stop": "a", "seed": 3}).stop == ("a",)
    assert settings_of({"stop": ("a", "b")}).stop == ("a", "b")


def test_a_beam_keeps_no_more_texts_than_it_is_wide():
    for samples in (1, 3):
        found = GenerationSettings(SamplingSettings(beam=3), num_samples=samples)
        assert found.num_samples == samples
    with pytest.raises(UsageError, match="--num-samples is 4, but --beam 3"):
        GenerationSettings(SamplingSettings(beam=3), num_samples=4)


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"no option min_pp .did you mean min_p"):
        settings_of({"min_pp": 0.1})


def test_an_empty_stop_text_is_refused():
    with pytest.raises(UsageError, match="--stop"):
        GenerationSettings(stop=("###", ""))
