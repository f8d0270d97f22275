"""The compiled decoder: the network of the other, draws of `sampling`, streams that stand alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import UsageError
from charlm.generation import compiled as compiled_module
from charlm.generation.compiled import CompiledDecoder, Rules
from charlm.generation.decoder import Decoder, decoder_of
from charlm.generation.decoders import decoder_in
from charlm.generation.filters import legal_only, pipeline
from charlm.generation.generate import generate, generate_many
from charlm.generation.native import packing, tiles
from charlm.generation.native.build import NotCompiledError
from charlm.generation.sampling import choose, negative_log_probability
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.model.cells.lstm import LSTM
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.checkpointing import weights_of

from .models import Letters, lstm_weights
from .test_decoder_of_every_cell import ARCHITECTURES, config_of, model_of

BYTES = fit_tokenizer(TokenizerSettings(kind="byte"), ["any\n"])


COMPILED = [
    name for name, model in ARCHITECTURES.items() if model["cell"] not in ("feedforward", "conv")
]


def test_a_cell_without_compiled_steps_says_so():
    config = config_of(
        **next(ARCHITECTURES[name] for name in ARCHITECTURES if name not in COMPILED)
    )
    with pytest.raises(NotCompiledError, match="no compiled steps"):
        compiled_module.compiled_decoder_of(config, weights_of(model_of(config)), lambda said: None)
    # Which is no fault of the machine: nothing is said of it, and bf16 is refused as an option.
    weights, said = weights_of(model_of(config)), []
    assert isinstance(decoder_in("auto", config, weights, said.append), Decoder) and not said
    with pytest.raises(UsageError, match="--precision bf16"):
        decoder_in("bf16", config, weights, said.append)


def of_halves(weights):
    """Weights that lose nothing when they are cut to bf16."""
    return {
        name: torch.from_numpy(tensor).bfloat16().float().numpy()
        for name, tensor in weights.items()
    }


def compiled(vocabulary, hidden=6, layers=2, embedding=5, seed=0, tied=True):
    weights = lstm_weights(vocabulary, embedding, hidden, layers, tied, seed=seed)
    return CompiledDecoder(LSTM(), weights, True, 0.0, 1, lambda said: None)


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "not folded"])
@pytest.mark.parametrize("wide", [False, True], ids=["less than a tile", "more than a tile"])
@pytest.mark.parametrize("name", COMPILED)
def test_it_is_the_network(name, wide, folded, monkeypatch):
    monkeypatch.setattr(packing, "FOLDED_FLOATS", packing.FOLDED_FLOATS if folded else 0)
    wider = {"hidden_size": 71, "embedding_size": 37} if wide else {}
    if wide and "last_hidden_size" in ARCHITECTURES[name]:
        wider["last_hidden_size"] = 37 if "tie_weights" in ARCHITECTURES[name] else 67
    config = config_of(**(ARCHITECTURES[name] | wider))
    weights = {
        n: w / 4 if wide and n != "decoder.ranks" else w
        for n, w in of_halves(weights_of(model_of(config))).items()
    }
    exact = decoder_of(config, {n: w.astype(np.float64) for n, w in weights.items()})
    decoder = compiled_module.compiled_decoder_of(config, weights, lambda said: None)
    states = [exact.empty_state(3), decoder.empty_state(3)]
    for ids in ([1, 4, 4], [3, 3, 1], [2, 0, 6], [5, 5, 0], [6, 1, 2]):
        states = [d.advance(ids, s) for d, s in zip((exact, decoder), states, strict=True)]
        wanted = exact.logits(states[0])
        np.testing.assert_allclose(decoder.logits(states[1]), wanted, rtol=3e-6, atol=1e-5)


def test_a_step_changes_nothing_that_it_was_given():
    decoder = compiled(7)
    state = decoder.advance([3], decoder.empty_state(1))
    before = state.copy()
    first = decoder.logits(decoder.advance([2], state))
    rules, one = Rules(Letters("\nabcdef").grammar, [None]), np.zeros(1, np.uint8)
    decoder.write(state, rules, one, np.full((5, 1), 0.4), SamplingSettings())
    assert np.array_equal(state, before) and not one.any()
    assert np.array_equal(first, decoder.logits(decoder.advance([2], state)))
    with pytest.raises(IndexError):
        decoder.advance([7], state)


CHOSEN = [
    *(SamplingSettings(temperature=heat) for heat in (0, 1e-60, 0.3, 1, 1.7, 1e9)),
    SamplingSettings(top_k=2),
    SamplingSettings(temperature=1.7, top_p=0.6),
    SamplingSettings(temperature=0.7, min_p=0.2),
    SamplingSettings(typical_p=0.5),
    SamplingSettings(temperature=1.3, top_k=5, top_p=0.9, min_p=0.1),
]


@pytest.mark.parametrize("openings", [None, np.array([False, False, True, False] * 2)])
@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_it_draws_as_sampling_does(chosen, openings):
    tokenizer = Letters()  # with a state in which other tokens are legal
    decoder = compiled(8, seed=3)
    rules = Rules(tokenizer.grammar, [openings])
    uniforms = np.random.default_rng(5).random((40, 3))
    start = decoder.advance([0, 2, 5], decoder.empty_state(3))
    spelling = np.array([*rules.first, 0, 1], np.uint8)
    filters = pipeline(chosen)
    ids, nats, after = decoder.write(start, rules, spelling, uniforms, chosen)
    state, spelled = start, [0, 0, 1]
    for time, row in enumerate(ids):
        for stream, token in enumerate(row):
            drawable = tokenizer.grammar.drawable[spelled[stream]]
            if stream == 0 and time == 0 and openings is not None:
                drawable = drawable & openings
            logits = legal_only(decoder.logits(state)[stream].astype(np.float64), drawable)
            assert token == choose(filters(logits, []), uniforms[time, stream])
            assert nats[time, stream] == pytest.approx(
                negative_log_probability(logits, token), abs=1e-6
            )
            spelled[stream] = tokenizer.grammar.next_state[spelled[stream], token]
        state = decoder.advance(row.tolist(), state)
    assert np.array_equal(state, after)
    assert len({tuple(column) for column in ids.T}) > 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("streams", [1, 2, 5, 6, 7, 13, 64])
def test_a_stream_has_the_same_bits_beside_others(streams, threads):
    decoder = compiled(9, hidden=33, embedding=17, tied=True)
    decoder._threads = threads
    rng = np.random.default_rng(streams)
    rules = Rules(Letters("\nabcdefgh").grammar, [None])
    uniforms, spelling = rng.random((6, streams)), np.zeros(streams, np.uint8)
    state = decoder.advance(rng.integers(0, 9, streams).tolist(), decoder.empty_state(streams))
    chosen = SamplingSettings(temperature=0.9, top_k=7, top_p=0.8)
    ids, nats, after = decoder.write(state, rules, spelling, uniforms, chosen)
    logits = decoder.logits(after)
    for n in range(streams):
        own = slice(n, n + 1)
        alone = decoder.write(state[own], rules, spelling[own], uniforms[:, own], chosen)
        for found, wanted in zip((ids[:, own], nats[:, own], after[own]), alone, strict=True):
            assert np.array_equal(found, wanted)
        assert np.array_equal(logits[own], decoder.logits(alone[2]))


@settings(deadline=None, max_examples=300)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_weights_are_cut_to_the_nearest(number):
    (found,) = tiles.narrowed(np.array([number], np.float32))
    bits = torch.tensor([number], dtype=torch.float32).bfloat16().view(torch.int16)
    assert found == np.uint16(int(bits) & 0xFFFF)


def test_the_exponential():
    from charlm.generation.native.pointwise import exponential

    x = np.linspace(-87, 88, 20_001, dtype=np.float32)
    found = np.array([exponential(number) for number in x], np.float64)
    assert np.abs(found / np.exp(x.astype(np.float64)) - 1).max() < 3e-7
    assert exponential(np.float32(-1e4)) < 2e-38 and exponential(np.float32(1e4)) < np.inf


WRITTEN = pytest.mark.parametrize(
    "options",
    [
        {},
        {"length": 0},
        {"length": 33, "length_unit": "characters"},
        {"length": 300, "stop": ("é", "a", "\x00")},
        {"sampling": SamplingSettings(temperature=0.5), "length": 70},
        {"sampling": SamplingSettings(greedy=True), "length": 50},
        {"sampling": SamplingSettings(top_p=0.8), "length": 70},
        {"sampling": SamplingSettings(temperature=1.4, top_k=9, min_p=0.1), "num_samples": 30},
        {"num_samples": 70, "length": 9, "stop": ("e",)},
    ],
    ids=str,
)


@WRITTEN
def test_many_tokens_at_once_are_those_of_single_steps(options):
    """A penalty of 1 changes nothing, and is no temperature."""
    decoder = compiled(256, seed=4)
    at_once = GenerationSettings(**options)
    singly = replace(at_once, sampling=replace(at_once.sampling, repetition_penalty=1.0))
    samples = [
        [p.sample for p in generate_many(decoder, BYTES, ["", "ab"], chosen) if p.sample]
        for chosen in (at_once, singly)
    ]
    assert len(samples[0]) == 2 * at_once.num_samples
    for one, other in zip(*samples, strict=True):
        assert (one.text, one.tokens, one.finish) == (other.text, other.tokens, other.finish)
        if one.tokens:
            assert one.nats_per_token == pytest.approx(other.nats_per_token, abs=1e-5)


def test_a_sample_is_the_same_however_many_there_are():
    decoder = compiled(256, seed=2)
    chosen = GenerationSettings(length=20, num_samples=decoder.together + 3)
    together = [p.sample for p in generate_many(decoder, BYTES, ["a"], chosen) if p.sample]
    assert len({sample.text for sample in together}) == len(together)
    for number in (0, 1, decoder.together - 1, decoder.together, decoder.together + 2):
        *_, last = generate(decoder, BYTES, "a", GenerationSettings(length=20), number)
        assert last.sample == together[number]


def test_prompts_are_answered_as_each_alone():
    """Of a tokenizer for which what may come first depends on the prompt."""
    words = fit_tokenizer(
        TokenizerSettings(kind="word", min_count=1), ["the cat sat on the mat\na dog\n" * 3]
    )
    prompts = ["", "the", "the cat ", "a dog\n", "sat on"]
    openings = {words.openings(p) is None or tuple(words.openings(p)) for p in prompts}
    assert len(openings) > 1
    decoder = compiled(words.vocabulary_size, seed=6)
    chosen = GenerationSettings(length=12, num_samples=14)
    pieces = list(generate_many(decoder, words, prompts, chosen))
    found = [piece.sample for piece in pieces if piece.sample]
    assert [sample.prompt for sample in found] == [p for p in prompts for _ in range(14)]
    assert all(piece.prompt in prompts for piece in pieces)
    alone = replace(chosen, num_samples=1)
    for place, sample in enumerate(found):
        *_, last = generate(decoder, words, sample.prompt, alone, place % 14)
        assert last.sample == sample


def test_the_first_text_comes_before_the_rest_is_drawn(monkeypatch):
    decoder = compiled(256)
    drawn = []
    write = decoder.write

    def watched(state, rules, spelling, uniforms, sampling):
        drawn.append(len(uniforms))
        return write(state, rules, spelling, uniforms, sampling)

    monkeypatch.setattr(decoder, "write", watched)
    settings = GenerationSettings(length=100, sampling=SamplingSettings(greedy=True))
    pieces = generate(decoder, fit_tokenizer(TokenizerSettings(kind="byte"), ["a"]), "", settings)
    first = next(pieces)
    assert first.text and sum(drawn) <= 7, "the longest character has four bytes"
    list(pieces)
    assert max(drawn) == 32 and 100 <= sum(drawn) <= 131


def test_a_cell_without_compiled_steps_is_refused(monkeypatch):
    monkeypatch.setattr(packing, "CODES", {})
    with pytest.raises(NotCompiledError, match="lstm"):
        compiled(7)
