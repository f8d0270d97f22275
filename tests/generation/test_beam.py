"""Beam search against every continuation there is, and against the same search on plain lists."""

import math
from dataclasses import replace

import numpy as np
import pytest

from charlm.generation import writing
from charlm.generation.decoder import Decoder
from charlm.generation.generate import generate, generate_many
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.model.cells.lstm import LSTM
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

from .models import Letters, lstm_weights

CHARACTERS = fit_tokenizer(TokenizerSettings(kind="char"), ["aabbccdd  ..\n\n"])


def decoder_of(vocabulary, seed=0):
    """Exact to 1e-12, so that no order depends on how many streams are read at once."""
    weights = lstm_weights(vocabulary, 5, 6, 2, tied=True, dtype=np.float64, seed=seed)
    return Decoder(LSTM(), weights)


def beam(decoder, tokenizer, prompt, width, direction="forward", **options):
    options = {"num_samples": width} | options
    settings = GenerationSettings(SamplingSettings(beam=width), **options)
    pieces = list(generate_many(decoder, tokenizer, [prompt], settings, direction))
    assert all(piece.sample is not None and piece.text == piece.sample.text for piece in pieces)
    return [piece.sample for piece in pieces]


class Reference:
    """Texts as (nats, ids): what each costs with each legal token, and which have ended."""

    def __init__(self, decoder, tokenizer, prompt, length, unit="tokens", stops=()):
        self.decoder, self.tokenizer = decoder, tokenizer
        self.length, self.unit, self.stops = length, unit, stops
        self.prompt = prompt
        self.context = [tokenizer.boundary_id, *tokenizer.encode(prompt).tolist()]

    def spelling(self, ids):
        state = 0
        for token in ids:
            state = int(self.tokenizer.grammar.next_state[state, token])
        return state

    def text(self, ids):
        """The new text, what is half spelled left out, and whether a stop text ended it."""
        while ids and self.spelling(ids):
            ids = ids[:-1]
        whole = self.tokenizer.decode([*self.tokenizer.encode(self.prompt).tolist(), *ids])
        text = whole.removeprefix(self.prompt)
        if self.unit == "characters":
            text = text[: self.length]
        found = [(text.find(s) + len(s), text.find(s)) for s in self.stops if s in text]
        return (text[: min(found)[1]], True) if found else (text, False)

    def ended(self, ids):
        text, stopped = self.text(ids)
        if self.unit == "characters":
            silent = 0
            while silent < len(ids) and self.text(ids[: len(ids) - 1 - silent]) == (text, stopped):
                silent += 1
            return stopped or len(text) >= self.length or silent >= writing.FINISHING
        more = writing.FINISHING if self.spelling(ids) else 0
        return stopped or len(ids) >= self.length + more

    def children(self, nats, ids):
        state = self.decoder.empty_state(1)
        for token in (*self.context, *ids):
            state = self.decoder.advance([token], state)
        z = self.decoder.logits(state)[0].tolist()
        legal = np.flatnonzero(self.tokenizer.grammar.legal[self.spelling(ids)]).tolist()
        total = math.fsum(math.exp(z[v]) for v in legal)
        return [(nats - math.log(math.exp(z[v]) / total), [*ids, v]) for v in legal]

    def everything(self, nats=0.0, ids=()):
        """Every text there is."""
        if self.ended(list(ids)):
            return [(nats, list(ids))]
        return [one for child in self.children(nats, ids) for one in self.everything(*child)]

    def search(self, width):
        """The beam, written as its definition says it."""
        texts = [(0.0, [])]
        while not all(self.ended(ids) for _, ids in texts):
            grown = [[one] if self.ended(one[1]) else self.children(*one) for one in texts]
            texts = self.best([one for group in grown for one in group])[:width]
        return texts

    @staticmethod
    def best(texts):
        return sorted(texts, key=lambda one: one[0] / max(1, len(one[1])))


def check(samples, texts, reference):
    assert len(samples) == len(texts)
    for sample, (nats, ids) in zip(samples, texts, strict=True):
        text, stopped = reference.text(ids)
        assert (sample.text, sample.tokens) == (text, len(ids))
        assert sample.finish == ("stop" if stopped else "length")
        assert sample.nats_per_token == pytest.approx(nats / len(ids), rel=1e-9)


CASES = pytest.mark.parametrize(
    ("length", "unit", "stops"),
    [
        (3, "tokens", ()),
        (4, "tokens", ("b",)),
        (4, "tokens", (" b", "a c", "\n")),
        (5, "characters", ("c",)),
    ],
)


@pytest.fixture(autouse=True)
def finishing(monkeypatch):
    """So that a model of random weights does not spell for 256 tokens."""
    monkeypatch.setattr(writing, "FINISHING", 3)


@pytest.mark.parametrize("letters", ["\nabc", "\na*x!"])
@pytest.mark.parametrize("seed", range(3))
@CASES
def test_a_beam_as_wide_as_there_are_texts_finds_the_best_of_all(
    seed, letters, length, unit, stops
):
    decoder, tokenizer = decoder_of(len(letters), seed), Letters(letters)
    stops = [stop for stop in stops if set(stop) <= set(letters + " ")]
    reference = Reference(decoder, tokenizer, "a", length, unit, stops)
    every = reference.best(reference.everything())
    assert 20 < len(every) <= 1024
    samples = beam(
        decoder, tokenizer, "a", 1024, length=length, length_unit=unit, stop=tuple(stops)
    )
    check(samples, every, reference)


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize("prompt", ["", "a b", "<xy>\n"])
@CASES
def test_the_search_is_its_definition(width, prompt, length, unit, stops):
    tokenizer = Letters()
    decoder = decoder_of(tokenizer.vocabulary_size, seed=5)
    reference = Reference(decoder, tokenizer, prompt, 2 * length, unit, stops)
    samples = beam(
        decoder, tokenizer, prompt, width, length=2 * length, length_unit=unit, stop=stops
    )
    check(samples, reference.search(width), reference)


@pytest.mark.parametrize("unit", ["tokens", "characters"])
@pytest.mark.parametrize("stops", [(), ("a",)])
def test_a_beam_of_one_is_greedy(unit, stops):
    for seed in range(4):
        decoder = decoder_of(CHARACTERS.vocabulary_size, seed)
        options = {"length": 30, "length_unit": unit, "stop": stops}
        greedy = GenerationSettings(SamplingSettings(greedy=True), **options)
        (*_, last) = generate(decoder, CHARACTERS, "世 a", greedy)
        (found,) = beam(decoder, CHARACTERS, "世 a", 1, **options)
        assert (found.text, found.tokens, found.finish) == (
            last.sample.text, last.sample.tokens, last.sample.finish
        )  # fmt: skip
        assert found.nats_per_token == pytest.approx(last.sample.nats_per_token, rel=1e-9)


def test_a_wider_beam_finds_what_greed_misses():
    gains = []
    for seed in range(8):
        decoder = decoder_of(CHARACTERS.vocabulary_size, seed)
        one, many = (beam(decoder, CHARACTERS, "a", width, length=12)[0] for width in (1, 32))
        gains.append(one.nats_per_token - many.nats_per_token)
    assert max(gains) > 0.1


def test_samples_are_the_best_in_order():
    decoder = decoder_of(CHARACTERS.vocabulary_size)
    every = beam(decoder, CHARACTERS, "a", 5, length=9)
    costs = [sample.nats_per_token for sample in every]
    assert len(every) == 5 and costs == sorted(costs)
    assert beam(decoder, CHARACTERS, "a", 5, length=9, num_samples=2) == every[:2]
    settings = GenerationSettings(SamplingSettings(beam=5), length=9)
    (piece,) = generate(decoder, CHARACTERS, "a", settings, sample_index=3)
    assert piece.sample == every[3]
    two = replace(settings, num_samples=2)
    pieces = list(generate_many(decoder, CHARACTERS, ["a", "b", "a"], two))
    assert [piece.sample.prompt for piece in pieces] == ["a", "a", "b", "b", "a", "a"]
    assert [piece.sample for piece in pieces[4:]] == every[:2]


def test_there_may_be_fewer_texts_than_places():
    tokenizer = Letters("\nabc")
    decoder = decoder_of(4)
    assert len(beam(decoder, tokenizer, "", 9, length=1)) == 4
    (nothing,) = beam(decoder, tokenizer, "a", 9, length=0)
    assert (nothing.text, nothing.tokens, nothing.nats_per_token) == ("", 0, None)


class Likes:
    """Costs by token, the same everywhere; what is not named costs 50 nats."""

    def __init__(self, tokenizer, **nats):
        self.logits_ = np.full(tokenizer.vocabulary_size, -50.0)
        for character, cost in nats.items():
            self.logits_[tokenizer.texts.index(character)] = -cost

    def empty_state(self, streams):
        return np.zeros((streams, 1))

    def advance(self, ids, state):
        return state

    def logits(self, state):
        return np.tile(self.logits_, (len(state), 1))


def test_texts_that_end_compete_by_nats_a_token():
    """Ending at once costs 1.6 nats; ten times the more probable token cost 0.2 each."""
    tokenizer = Letters("\nabc")
    decoder = Likes(tokenizer, a=-math.log(0.8), b=-math.log(0.2))
    found = beam(decoder, tokenizer, "", 2, length=10, stop=("b",))
    assert [(sample.text, sample.finish) for sample in found] == [
        ("a" + " a" * 9, "length"),
        ("a" + " a" * 8 + " ", "stop"),
    ]
    # Where nothing that goes on is among the best two, the search is over at once.
    decoder = Likes(tokenizer, a=-math.log(0.1), b=-math.log(0.5), c=-math.log(0.4))
    found = beam(decoder, tokenizer, "", 2, length=10, stop=("b", "c"))
    assert [(sample.text, sample.tokens) for sample in found] == [("", 1), ("", 1)]


def test_equals_come_in_the_order_of_their_ids():
    tokenizer = Letters("\nabc")
    even = Likes(tokenizer, a=1, b=1, c=1)
    found = [sample.text for sample in beam(even, tokenizer, "", 4, length=2)]
    assert found == ["a a", "a b", "a c", "b a"]
