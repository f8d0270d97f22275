"""From a prompt to text: context, legality, lengths, stop texts, and samples that stand alone."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import DataError
from charlm.generation.generate import generate, generate_many
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.generation.writing import FINISHING, Piece, Sample
from charlm.registry import LOGIT_FILTERS
from charlm.text.tokenizers.base import Grammar, TokenizerSettings, fit_tokenizer

from .models import Letters, Scripted, small_decoder

GREEDY = SamplingSettings(greedy=True)
BYTES = fit_tokenizer(TokenizerSettings(kind="byte"), ["any\n"])
CHARACTERS = fit_tokenizer(TokenizerSettings(kind="char"), ["aabbccdd  ..\n\n"])


def write(text, tokenizer=CHARACTERS, prompt="", **options):
    """Pieces of a greedy model that wants to write `text`."""
    context = 1 + len(tokenizer.encode(prompt))
    model = Scripted(tokenizer.vocabulary_size, tokenizer.encode(text).tolist(), context)
    settings = GenerationSettings(sampling=GREEDY, **options)
    return list(generate(model, tokenizer, prompt, settings))


def sample_of(pieces):
    *others, last = pieces
    assert all(piece.sample is None and piece.text for piece in others)
    assert "".join(piece.text for piece in pieces) == last.sample.text
    return last.sample


def test_the_context_is_the_boundary_token_and_the_prompt():
    for tokenizer in (BYTES, CHARACTERS):
        prompt = "ab 世.\n"
        model = Scripted(tokenizer.vocabulary_size, tokenizer.encode("cd").tolist(), 1000)
        list(generate(model, tokenizer, prompt, GenerationSettings(length=0)))
        assert model.read == [*tokenizer.encode("\n"), *tokenizer.encode(prompt)]


def test_written_as_scripted():
    sample = sample_of(write("abc 世界.", prompt="dd", length=15))
    assert (sample.prompt, sample.text, sample.tokens) == ("dd", "abc 世界." + sample.text[7:], 15)
    assert sample.text.startswith("abc 世界.") and sample.finish == "length"


def test_each_piece_comes_before_the_next_token_is_drawn():
    model = Scripted(CHARACTERS.vocabulary_size, CHARACTERS.encode("abcd").tolist())
    pieces = generate(model, CHARACTERS, "", GenerationSettings(sampling=GREEDY, length=4))
    assert [piece.text for piece in islice(pieces, 2)] == ["a", "b"]
    assert len(model.read) == 3, "boundary, a, b"


@pytest.mark.parametrize("unit", ["tokens", "characters"])
def test_length_zero_is_no_text(unit):
    assert write("abc", prompt="a", length=0, length_unit=unit) == [
        Piece("", "a", Sample("a", "", 0, None, "length"))
    ]


@pytest.mark.parametrize(
    ("length", "text", "tokens"), [(1, "a", 1), (2, "a😀", 6), (5, "a😀", 6), (6, "a😀", 6)]
)
def test_a_spelled_character_is_finished(length, text, tokens):
    """One marker and four bytes: the longest there is."""
    sample = sample_of(write("a😀b", length=length))
    assert (sample.text, sample.tokens) == (text, tokens)


class Syllables:
    """Token 0 is the text "abc"; 1 and 2 spell without end; the stream's last word is "!"."""

    vocabulary_size, boundary_id = 3, 0
    grammar = Grammar(
        np.array([[0, 1, 1], [1, 1, 1]], np.uint8),
        np.ones((2, 3), bool),
        np.zeros(2),
        np.full((2, 3), 1 / 3),
    )

    def encode_prompt(self, text):
        return np.array([], np.uint8)

    def openings(self, prompt):
        return None

    def stream(self, after=""):
        return self

    def feed(self, token):
        return "abc" if token == 0 else ""

    def finish(self):
        return "!"

    def fork(self):
        return self


@pytest.mark.parametrize(
    ("script", "length", "unit", "text", "tokens"),
    [
        ([0, 0], 2, "tokens", "abcabc!", 2),
        ([0, *[1, 2] * 200], 2, "tokens", "abc", 2 + FINISHING),
        ([0, *[1, 2] * 200], 9, "characters", "abc", 1 + FINISHING),
        ([0, *[1] * (FINISHING - 1), 0], 6, "characters", "abcabc", 1 + FINISHING),
        ([0, 0], 3, "characters", "abc", 1),
        ([0, 0], 5, "characters", "abcab", 2),
    ],
    ids=[
        "whole",
        "what cannot be finished is dropped",
        "what brings no text ends",
        "what brings some goes on",
        "as long as asked",
        "cut to length",
    ],
)
def test_tokens_of_several_characters(script, length, unit, text, tokens):
    settings = GenerationSettings(sampling=GREEDY, length=length, length_unit=unit)
    sample = sample_of(list(generate(Scripted(3, script), Syllables(), "", settings)))
    assert (sample.text, sample.tokens) == (text, tokens)


@pytest.mark.parametrize("tokenizer", [BYTES, CHARACTERS], ids=["byte", "char"])
@pytest.mark.parametrize("length", [1, 7, 60])
@pytest.mark.parametrize("unit", ["tokens", "characters"])
def test_only_whole_characters_are_written(tokenizer, length, unit):
    """A model of random weights, at every seed."""
    decoder = small_decoder(tokenizer.vocabulary_size)
    settings = GenerationSettings(length=length, length_unit=unit, num_samples=8)
    samples = [p.sample for p in generate_many(decoder, tokenizer, ["a"], settings) if p.sample]
    assert len(samples) == 8
    for sample in samples:
        assert "\ufffd" not in sample.text
        if unit == "characters":
            assert len(sample.text) == length
        else:
            assert length <= sample.tokens <= length + 4, "no character needs more"
    if length == 60:
        assert any(ord(max(sample.text)) > 0x7FF for sample in samples), "several bytes long"


def test_an_illegal_wish_is_not_granted():
    """Greedy, and a continuation byte wanted between characters: the next best is ASCII NUL."""
    model = Scripted(256, [0x80, 0xE4, 0x41, 0x80])
    settings = GenerationSettings(sampling=GREEDY, length=4)
    sample = sample_of(list(generate(model, BYTES, "", settings)))
    assert sample.text.encode() == b"\x00\xe4\x80\x80"


@given(st.text("abc", max_size=12), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
@settings(deadline=None, max_examples=60)
def test_stop_texts_end_a_sample(text, stops):
    sample = sample_of(write(text + ".", length=len(text) + 1, stop=tuple(stops)))
    found = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    if found:
        end, start = min(found)
        assert (sample.text, sample.tokens, sample.finish) == (text[:start], end, "stop")
    else:
        assert (sample.text, sample.tokens) == (text + ".", len(text) + 1)
        assert sample.finish == "length"


def test_a_stop_text_that_length_cuts_is_text():
    sample = sample_of(write("ab..", length=3, stop=("..",)))
    assert (sample.text, sample.finish) == ("ab.", "length")
    sample = sample_of(write("ab..", length=4, stop=("..",)))
    assert (sample.text, sample.finish) == ("ab", "stop")
    # The stop text is complete only beyond the cut.
    settings = GenerationSettings(
        sampling=GREEDY, length=5, length_unit="characters", stop=("bcabc",)
    )
    sample = sample_of(list(generate(Scripted(3, [0, 0]), Syllables(), "", settings)))
    assert (sample.text, sample.finish) == ("abcab", "length")


@pytest.mark.parametrize(
    "sampling", [SamplingSettings(), SamplingSettings(temperature=3, top_k=40)]
)
def test_nats_are_the_models_own_whatever_the_filters(sampling):
    decoder = small_decoder(256, seed=4)
    settings = GenerationSettings(sampling=sampling, length=40)
    sample = sample_of(list(generate(decoder, BYTES, "ab", settings)))
    ids = BYTES.encode(sample.text)
    assert len(ids) == sample.tokens >= 40
    nats, spelling, state = 0.0, 0, decoder.empty_state(1)
    for token in (BYTES.boundary_id, *b"ab"):
        state = decoder.advance([token], state)
    for token in ids:
        legal = BYTES.grammar.legal[spelling]
        z = decoder.logits(state)[0].astype(float).tolist()
        total = math.fsum(math.exp(z[v]) for v in range(256) if legal[v])
        nats -= math.log(math.exp(z[token]) / total)
        state, spelling = decoder.advance([token], state), BYTES.grammar.next_state[spelling, token]
    assert sample.nats_per_token == pytest.approx(nats / len(ids), rel=1e-9)


def test_a_sample_is_the_same_alone_and_among_others():
    decoder = small_decoder(CHARACTERS.vocabulary_size)
    prompts = ["", "ab", "世 ab"]
    five = GenerationSettings(length=30, num_samples=5, seed=7)
    together = [
        piece.sample for piece in generate_many(decoder, CHARACTERS, prompts, five) if piece.sample
    ]
    alone = [
        sample_of(list(generate(decoder, CHARACTERS, prompt, replace(five, num_samples=1), index)))
        for prompt in prompts
        for index in range(5)
    ]
    assert together == alone
    assert [sample.prompt for sample in together] == [p for p in prompts for _ in range(5)]
    assert len({sample.text for sample in together[:5]}) == 5


def test_a_token_whose_text_hangs_on_the_prompt():
    """A space between the prompt's last word and the first new one is new; no other is."""
    for prompt in ("", "a", "b\na <x> b", "c\n"):
        whole = "" if not prompt else prompt + ("" if prompt.endswith("\n") else " ")
        tokenizer = Letters()
        ids = tokenizer.encode("c<yx>b")
        model = Scripted(tokenizer.vocabulary_size, ids, 1 + len(tokenizer.encode(prompt)))
        settings = GenerationSettings(sampling=GREEDY, length=len(ids))
        sample = sample_of(list(generate(model, tokenizer, prompt, settings)))
        assert prompt + sample.text == whole + "c <yx> b"


def test_seeds_differ():
    decoder = small_decoder(CHARACTERS.vocabulary_size)
    texts = [
        sample_of(list(generate(decoder, CHARACTERS, "a", GenerationSettings(length=30, seed=n))))
        for n in (0, 1, 2, 1)
    ]
    assert texts[1] == texts[3]
    assert len({sample.text for sample in texts}) == 3


def spy(logits, value, history):
    spy.seen.append(list(history))
    return logits


def test_filters_see_all_that_was_read_and_written(monkeypatch):
    spy.seen = []
    monkeypatch.setitem(LOGIT_FILTERS, "top_k", f"{__name__}:spy")
    model = Scripted(CHARACTERS.vocabulary_size, CHARACTERS.encode("cd").tolist(), context=3)
    settings = GenerationSettings(sampling=SamplingSettings(top_k=5), length=2, num_samples=2)
    list(generate_many(model, CHARACTERS, ["ab"], settings))
    read = CHARACTERS.encode("abc").tolist()  # the boundary before it is no text
    assert spy.seen == [read[:2], read] * 2, "no sample sees another"


def test_a_prompt_that_no_text_can_hold():
    with pytest.raises(DataError):
        list(generate(Scripted(256, []), BYTES, "a\ud800", GenerationSettings()))


def test_products_run_on_one_thread_and_the_limit_ends_with_the_text():
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    tokenizer = fit_tokenizer(TokenizerSettings(kind="byte"), ["abc"])
    with threadpool_limits(limits=2, user_api="blas"):
        pieces = generate(small_decoder(256), tokenizer, "a", GenerationSettings(length=3))
        next(pieces)
        assert threads() == {1}
        list(pieces)
        assert threads() == {2}
