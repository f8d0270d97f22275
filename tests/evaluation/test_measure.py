"""Every token once, as one stream a document would give it: against a loop in NumPy."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.language_model_numpy import float64_weights, token_nats
from reference.texts import english

from charlm.draws import Draws
from charlm.evaluation import token_nats as module
from charlm.evaluation.measure import measure, measure_windows
from charlm.model.language_model import Architecture, LanguageModel
from charlm.registry import CELLS
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from evaluation.models import Text, model_of, tokenizer_of

# Seen, unseen and spelled characters; a document of one token, one that ends in a spelled
# character, and one that is longer than the others together.
DOCUMENTS = [english(9, seed=2) + "聞é", "x", english(2, seed=3), "\n", english(1, seed=4) + "𐍈"]


def one_stream(model, tokenizer, text):
    """-log p of each token in float64, document by document."""
    weights = float64_weights(model)
    return np.concatenate(
        [
            token_nats(weights, tokenizer.grammar, ids, tokenizer.boundary_id)
            for ids in np.split(text.ids, text.documents[1:])
        ]
    )


def measured(model, tokenizer, text):
    return measure(model, tokenizer, text.ids, text.documents, text.counts)


def cut(monkeypatch, streams, chunk, longest, shortest):
    """Other sizes of what is read side by side; longest and shortest are in chunks."""
    monkeypatch.setattr(module, "STREAMS", streams)
    monkeypatch.setattr(module, "CHUNK", chunk)
    monkeypatch.setattr(module, "LONGEST_PIECE", longest * chunk)
    monkeypatch.setattr(module, "SHORTEST_PIECE", shortest * chunk)


CUTS = [
    (1, 4, 2, 1),
    (3, 8, 4, 1),
    (7, 16, 3, 2),
    (64, 128, 64, 4),
    (2, 1, 50, 10),
    (5, 1000, 1, 1),
]


@pytest.mark.parametrize("kind", ["char", "byte"])
@pytest.mark.parametrize("tie", [False, True])
def test_the_sum_is_one_streams_sum_with_the_floor(kind, tie):
    tokenizer = tokenizer_of(kind)
    model, text = model_of(tokenizer, tie=tie), Text(tokenizer, DOCUMENTS)
    nats = one_stream(model, tokenizer, text)
    found = measured(model, tokenizer, text)
    assert found.nats == pytest.approx(nats.sum(), rel=1e-10)
    assert found.tokens == len(text.ids) == len(nats)
    assert found.counts == text.counts


def test_no_token_costs_infinity():
    """Ordinary characters have no floor, and a chance too small for a float is still one."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, ["the lamp"])
    with torch.no_grad():
        model.decoder.bias[text.ids[3]] = -2000
    figures = measured(model, tokenizer, text)
    assert 1900 < figures.nats < 2100
    json.dumps(figures.as_dict(), allow_nan=False)


def test_the_floor_is_part_of_it():
    """A model that gives a spelled character no chance pays the floor's price and no more."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, ["a聞b"])
    with torch.no_grad():
        model.decoder.bias[text.ids[1:5]] = -300
    figures = measured(model, tokenizer, text)
    assert figures.nats < 60
    assert figures.nats == pytest.approx(one_stream(model, tokenizer, text).sum(), rel=1e-10)


@pytest.mark.parametrize("memory", [0.0, 5.0], ids=["short memory", "long memory"])
@pytest.mark.parametrize("cuts", CUTS)
def test_the_figure_does_not_depend_on_how_the_text_is_cut(monkeypatch, cuts, memory):
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, memory), Text(tokenizer, DOCUMENTS)
    wanted = one_stream(model, tokenizer, text).sum()
    cut(monkeypatch, *cuts)
    assert measured(model, tokenizer, text).nats == pytest.approx(wanted, rel=1e-6)


def test_fp32_gives_the_figure_of_float64():
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, dtype=torch.float32), Text(tokenizer, DOCUMENTS)
    wanted = one_stream(model, tokenizer, text).sum()
    assert measured(model, tokenizer, text).nats == pytest.approx(wanted, rel=1e-6)


def test_states_that_do_not_meet_at_once_are_followed_into_later_pieces(monkeypatch):
    """A forget gate near 1 remembers for hundreds of tokens: far beyond pieces of 8."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, memory=5.0), Text(tokenizer, [english(12, seed=5)])
    cut(monkeypatch, 64, 4, 2, 2)
    readings = counted_readings(monkeypatch)
    found = measured(model, tokenizer, text)
    assert len(readings) > 3 and all(readings), "the pieces met at once: the test shows nothing"
    assert found.nats == pytest.approx(one_stream(model, tokenizer, text).sum(), rel=1e-6)


def counted_readings(monkeypatch):
    """How many pieces each pass over the text has read, as it goes."""
    readings = []
    run = module.TokenReader._run

    def counted(self, ids, group, pending, *rest):
        readings.append(len(pending))
        return run(self, ids, group, pending, *rest)

    monkeypatch.setattr(module.TokenReader, "_run", counted)
    return readings


def test_a_cell_that_never_forgets_is_read_from_front_to_back_and_no_more(monkeypatch):
    """Forget gates at 1: what a stream's first token did is there at its last one. Side by side
    every piece would be read once more for each that stands before it."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, memory=60.0), Text(tokenizer, [english(12, seed=5)])
    cut(monkeypatch, 64, 4, 3, 3)
    readings = counted_readings(monkeypatch)
    found = measured(model, tokenizer, text)
    pieces = readings[0]
    assert pieces > 30
    assert sum(readings) <= (module._PASSES + 1) * pieces
    assert sum(readings) > module._PASSES * pieces - 10, "it forgot: the test shows nothing"
    assert found.nats == pytest.approx(one_stream(model, tokenizer, text).sum(), rel=1e-6)


def test_a_small_difference_that_stays_is_not_taken_for_a_meeting(monkeypatch):
    """One unit keeps what it has for ever and nothing is added, and the decoder multiplies it
    by 40: 5e-3 of it is below what states may differ by when they meet, and costs 1e-3."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, layers=1), Text(tokenizer, ["聞" + english(9, seed=5)])
    hidden = 6
    layer = model.layers[0]
    marker = int(tokenizer.encode("聞")[0])
    with torch.no_grad():
        for gate, bias in ((0, -60.0), (1, 60.0), (3, 60.0)):  # input shut, forget and output open
            layer.weight_ih[gate * hidden] = 0
            layer.weight_hh[gate * hidden] = 0
            layer.bias_ih[gate * hidden] = bias
        layer.bias_hh[:] = 0
        # The marker alone opens the input gate, a little: sigmoid(-5.3) = 5e-3 goes in for ever.
        layer.weight_ih[0] = model.embedding.weight[marker]
        layer.weight_ih[0] *= 54.7 / model.embedding.weight[marker].square().sum()
        layer.weight_ih[2 * hidden] = model.embedding.weight[marker]
        model.projection.weight[:, 0] *= 40
    wanted = one_stream(model, tokenizer, text).sum()
    cut(monkeypatch, 64, 4, 2, 2)
    assert measured(model, tokenizer, text).nats == pytest.approx(wanted, rel=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.text("The keprd.\né聞𐍈", min_size=1, max_size=40), min_size=1, max_size=9),
    st.sampled_from(CUTS),
    st.sampled_from(["char", "byte"]),
)
def test_any_documents_in_any_cut(documents, cuts, kind):
    """Exactly, where states must agree to the last digits to have met; pieces of a few tokens
    would show what is left of the difference otherwise."""
    tokenizer = tokenizer_of(kind)
    model, text = model_of(tokenizer, layers=1), Text(tokenizer, documents)
    wanted = one_stream(model, tokenizer, text).sum()
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        warnings.simplefilter("error")
        cut(monkeypatch, *cuts)
        for limit in ("_MET", "_MOVED", "_SAME"):
            monkeypatch.setattr(module, limit, 1e-11)
        assert measured(model, tokenizer, text).nats == pytest.approx(wanted, rel=1e-8)


def test_measuring_changes_nothing_and_repeats():
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, dtype=torch.float32), Text(tokenizer, DOCUMENTS)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    torch.manual_seed(1)
    first = measured(model, tokenizer, text).nats
    torch.manual_seed(2)
    assert measured(model, tokenizer, text).nats == first
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def windows_by_hand(model, tokenizer, text, begins, window):
    """The nats of windows that begin at `begins`, each by itself from zeros."""
    ends = np.append(text.documents[1:], len(text.ids))
    states, spelling = [], 0
    for token in text.ids:
        states.append(spelling)
        spelling = tokenizer.grammar.next_state[spelling, token]
    total = []
    for begin in begins:
        document = np.searchsorted(text.documents, begin, side="right") - 1
        end = min(begin + window, ends[document])
        first = begin == text.documents[document]
        before = tokenizer.boundary_id if first else int(text.ids[begin - 1])
        total.append(
            token_nats(
                float64_weights(model),
                tokenizer.grammar,
                text.ids[begin:end],
                before,
                states[begin],
            )
        )
    return np.concatenate(total)


@pytest.mark.parametrize("window", [1, 7, 100, 10**6])
def test_windows_are_read_apart_from_the_empty_state_after_the_true_token(window):
    """Every `window` targets of each document; the last window of a document is shorter."""
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    ends = [*text.documents[1:], len(text.ids)]
    begins = [
        begin
        for start, end in zip(text.documents, ends, strict=True)
        for begin in range(start, end, window)
    ]
    wanted = windows_by_hand(model, tokenizer, text, begins, window)
    found = measure_windows(
        model, tokenizer, text.ids, text.documents, text.counts, window, None, 1
    )
    assert found.tokens == len(text.ids)
    assert found.counts == text.counts
    assert found.nats == pytest.approx(wanted.sum(), rel=1e-9)
    if window == 10**6:
        assert found.nats == pytest.approx(measured(model, tokenizer, text).nats, rel=1e-9)


@pytest.mark.parametrize(("window", "passes"), [(1, 8), (3, 8), (8, 8), (20, 12)])
def test_short_windows_are_read_many_side_by_side(monkeypatch, window, passes):
    """A pass takes 4 x 16 tokens, however short the windows."""
    cut(monkeypatch, 4, 16, 1, 1)
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer, layers=1), Text(tokenizer, [english(20, seed=6)[:480]])
    calls = []
    chunk = module.TokenReader._chunk
    monkeypatch.setattr(
        module.TokenReader, "_chunk", lambda *about: calls.append(1) or chunk(*about)
    )
    wanted = windows_by_hand(model, tokenizer, text, range(0, 480, window), window).sum()
    about = (model, tokenizer, text.ids, text.documents, text.counts)
    assert measure_windows(*about, window, None, 1).nats == pytest.approx(wanted, rel=1e-9)
    assert len(calls) == passes


def test_random_windows_follow_the_seed_and_count_their_own_text():
    tokenizer = tokenizer_of()
    plain = english(40, seed=6)
    model, text = model_of(tokenizer), Text(tokenizer, [plain])

    def windows(seed, how_many=5, window=20):
        about = (model, tokenizer, text.ids, text.documents, text.counts)
        return measure_windows(*about, window, how_many, seed)

    found = windows(1)
    assert found.tokens == 5 * 20
    assert found.counts.characters == found.counts.bytes == 100  # plain English, one token each
    assert windows(1) == found
    assert windows(2).nats != found.nats
    begins = np.random.default_rng(1).integers(0, len(plain) - 20 + 1, 5)
    wanted = windows_by_hand(model, tokenizer, text, begins.tolist(), 20)
    assert found.nats == pytest.approx(wanted.sum(), rel=1e-9)


@pytest.mark.parametrize("zoneout", [0.0, 0.5])
@pytest.mark.parametrize(
    ("cell", "nonlinearity"),
    [*((cell, None) for cell in CELLS if cell != "rnn"), ("rnn", "sigmoid"), ("rnn", "relu")],
)
def test_every_cell_gives_one_streams_figure(monkeypatch, cell, nonlinearity, zoneout):
    """Of the plain network with relu and the identity as W_hh too (IRNN), which never forgets."""
    tokenizer = tokenizer_of()
    a = Architecture(tokenizer.vocabulary_size, cell, 2, 6, 5, True, nonlinearity=nonlinearity,
                     zoneout=zoneout)  # fmt: skip
    model = LanguageModel(a).initialise("identity" if cell == "rnn" else "default", Draws(1, 0))
    model = model.double()
    with torch.no_grad():
        if nonlinearity == "relu":
            for layer in model.layers:
                layer.weight_ih *= 0.05
        wanted, before, state = 0.0, tokenizer.boundary_id, model.empty_state(1)
        text = Text(tokenizer, [english(9, seed=2) + "聞é"])
        inputs = torch.from_numpy(np.array([[before, *text.ids[:-1]]]).T)
        logits = model.logits(model(inputs, state).outputs[:, 0]).numpy()
    states = tokenizer.grammar.run(np.zeros(1, np.uint8), text.ids[:, None])[0][:, 0]
    for y, token, s in zip(logits, text.ids, states, strict=True):
        chances = np.where(tokenizer.grammar.legal[s], np.exp(y - y.max()), 0)
        mass = tokenizer.grammar.floor_mass[s]
        q = chances[token] / chances.sum()
        wanted -= np.log((1 - mass) * q + mass * tokenizer.grammar.floor[s, token])
    cut(monkeypatch, 64, 8, 2, 2)
    assert measured(model, tokenizer, text).nats == pytest.approx(wanted, rel=1e-6)


def test_random_windows_are_of_whole_characters():
    """At the level of bytes most windows would begin or end in the middle of one."""
    tokenizer = fit_tokenizer(TokenizerSettings(kind="byte"), ["a"])
    text = Text(tokenizer, ["中" * 400])
    model = model_of(tokenizer)
    about = model, tokenizer, text.ids, text.documents, text.counts
    found = measure_windows(*about, window=16, how_many=50, seed=3)
    assert found.counts.bytes == found.tokens == 3 * found.counts.characters
