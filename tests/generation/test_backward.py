"""Written from its end: a mirror image at the level of characters, and joined right at others."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.generation.generate import generate, generate_many
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.generation.writing import Piece, Sample
from charlm.text.direction import reversed_units
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

from .models import Letters, Scripted, small_decoder

GREEDY = SamplingSettings(greedy=True)
BYTES = fit_tokenizer(TokenizerSettings(kind="byte"), ["any\n"])
CHARACTERS = fit_tokenizer(TokenizerSettings(kind="char"), ["aabbccdd  ..\n\n"])
TOKENIZERS = pytest.mark.parametrize("tokenizer", [BYTES, CHARACTERS], ids=["byte", "char"])


def backward(decoder, tokenizer, prompt, how):
    pieces = list(generate_many(decoder, tokenizer, [prompt], how, direction="backward"))
    assert all(piece.sample and piece.text == piece.sample.text for piece in pieces), "whole"
    return [piece.sample for piece in pieces]


def write(text, prompt="", tokenizer=CHARACTERS, **options):
    """What a greedy model that wants to write `text`, from its end, has written."""
    script = reversed_units(tokenizer.encode(text), tokenizer.grammar).tolist()
    model = Scripted(tokenizer.vocabulary_size, script, 1 + len(tokenizer.encode(prompt)))
    how = GenerationSettings(sampling=GREEDY, **{"length": len(script)} | options)
    (sample,) = backward(model, tokenizer, prompt, how)
    return sample


def mirrored(sample):
    return replace(sample, prompt=sample.prompt[::-1], text=sample.text[::-1])


@TOKENIZERS
@pytest.mark.parametrize("unit", ["tokens", "characters"])
@pytest.mark.parametrize(
    "sampling",
    [SamplingSettings(), GREEDY, SamplingSettings(beam=4)],
    ids=["drawn", "greedy", "beam"],
)
@pytest.mark.parametrize("stops", [(), ("a", ". ", "\n")])
def test_at_the_level_of_characters_it_is_the_mirror_image(tokenizer, unit, sampling, stops):
    """What the same model writes forward after the mirrored prompt."""
    how = GenerationSettings(sampling, length=40, length_unit=unit, stop=stops, num_samples=3)
    mirror = replace(how, stop=tuple(stop[::-1] for stop in stops))
    for seed in range(3):
        decoder = small_decoder(tokenizer.vocabulary_size, seed)
        prompt = "ab 世界.\nc" if seed else ""
        forward = [
            piece.sample
            for piece in generate_many(decoder, tokenizer, [prompt[::-1]], mirror)
            if piece.sample
        ]
        found = backward(decoder, tokenizer, prompt, how)
        assert [mirrored(sample) for sample in found] == forward


@TOKENIZERS
@settings(deadline=None, max_examples=60)
@given(text=st.text("ab \n世😀", min_size=1), prompt=st.text("ab\n世"))
def test_written_in_reading_order(tokenizer, text, prompt):
    assert write(text, prompt, tokenizer).text == text
    assert write(text, prompt, tokenizer).prompt == prompt


def test_the_context_is_the_boundary_token_and_the_prompt_from_its_end():
    model = Scripted(CHARACTERS.vocabulary_size, [], 1000)
    backward(model, CHARACTERS, "a世b\n", GenerationSettings(length=0))
    encode = CHARACTERS.encode
    assert model.read == [*encode("\n"), *encode("\n"), *encode("b"), *encode("世"), *encode("a")]


def test_length_in_characters_keeps_the_end():
    assert write("ab世cd", length=3, length_unit="characters").text == "世cd"


@pytest.mark.parametrize(
    ("length", "text", "tokens"), [(1, "b", 1), (2, "😀b", 6), (6, "😀b", 6), (7, "a😀b", 7)]
)
def test_a_spelled_character_is_finished(length, text, tokens):
    sample = write("a😀b", length=length)
    assert (sample.text, sample.tokens) == (text, tokens)


@settings(deadline=None, max_examples=100)
@given(st.text("abc", max_size=12), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_a_stop_text_and_what_stands_before_it_are_left_out(text, stops):
    sample = write("." + text, stop=tuple(stops))
    found = [(text.rfind(stop), len(stop)) for stop in stops if stop in text]
    if found:
        start, size = max(found)
        assert (sample.text, sample.finish) == (text[start + size :], "stop")
        assert sample.tokens == len(text) - start
    else:
        assert (sample.text, sample.finish) == ("." + text, "length")


def test_a_text_joins_the_prompt_as_reading_wants_it():
    """A space between the last new word and the prompt's first is new; no other is."""
    tokenizer = Letters()
    for prompt, space in (("", ""), ("a", " "), ("b\na <x> b", " "), ("\nc", "")):
        for text in ("b", "c <yx> b", "c\n<y> a"):
            sample = write(text, prompt, tokenizer)
            assert sample.text + prompt == text + space + prompt
        assert write("a <x>\n", prompt, tokenizer).text == "a <x>\n"


def test_a_text_of_nothing():
    assert write("a", "b", length=0) == Sample("b", "", 0, None, "length")
    how = GenerationSettings(length=0)
    assert list(generate(Scripted(256, []), BYTES, "a", how, direction="backward")) == [
        Piece("", "a", Sample("a", "", 0, None, "length"))
    ]
