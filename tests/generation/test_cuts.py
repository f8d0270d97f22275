"""The compiled filters: what they leave is what NumPy's leave, whatever the logits."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charlm.generation import compiled, drawing
from charlm.generation.compiled import CompiledDecoder, Rules
from charlm.generation.filters import legal_only, pipeline
from charlm.generation.generate import generate
from charlm.generation.native.choice import KNOWN, known
from charlm.generation.sampling import choose, negative_log_probability
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.model.cells.lstm import LSTM
from charlm.registry import LOGIT_FILTERS
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.checkpointing import weights_of

from .models import Letters, lstm_weights
from .test_compiled import COMPILED
from .test_decoder_of_every_cell import ARCHITECTURES, config_of, model_of

quick = settings(deadline=None, max_examples=150)

# With ties, and with what float64 cannot tell from them once the largest is taken off.
logits = st.lists(
    st.one_of(st.sampled_from([-30.0, -1.0, 0.0, 1e-30, 2.0, 2.5]), st.floats(-40, 40, width=32)),
    min_size=1,
    max_size=12,
)
masses = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.floats(0, 1))
chosen = st.builds(
    SamplingSettings,
    temperature=st.one_of(st.sampled_from([1.0, 1e-60, 1e60]), st.floats(0.05, 20)),
    top_k=st.none() | st.integers(1, 14) | st.just(10**30),
    top_p=st.none() | masses,
    min_p=st.none() | masses,
)


def expecting(values):
    """A decoder that expects the same tokens after everything."""
    weights = lstm_weights(len(values), 3, 4, 1, tied=False)
    weights["decoder.weight"] *= 0
    weights["decoder.bias"] = np.array(values, np.float32)
    return CompiledDecoder(LSTM(), weights, True, 0.0, 1, lambda said: None)


def drawn(decoder, legal, uniforms, sampling):
    """What each of the numbers draws, and its nats, after nothing."""
    rules = Rules(Letters("\nabcdefghijklm"[: len(legal)]).grammar, [np.array(legal)])
    state = decoder.empty_state(len(uniforms))
    spelling = np.full(len(uniforms), rules.first[0], np.uint8)
    ids, nats, _ = decoder.write(state, rules, spelling, np.array([uniforms]), sampling)
    return ids[0].tolist(), nats[0].tolist()


def distribution(values):
    p = np.exp(values - values.max())
    return p / p.sum()


def hangs_on_rounding(values, sampling):
    """Whether the mass of some of the most probable tokens is nearly top-p, and not all of it."""
    if sampling.top_p in (None, 0, 1):
        return False
    before = SamplingSettings(temperature=sampling.temperature, top_k=sampling.top_k)
    p = np.sort(distribution(pipeline(before)(values, [])))[::-1]
    p = p[p > 0]
    return np.ptp(p) > 0 and np.abs(p.cumsum() - sampling.top_p).min() < 1e-6


@quick
@given(logits, chosen, st.data())
def test_what_is_left_is_what_numpys_filters_leave(values, sampling, data):
    """In the middle of each token's piece of the distribution the same token is drawn."""
    legal = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    assume(any(legal))
    own = legal_only(np.array(values, np.float32).astype(np.float64), np.array(legal))
    assume(not hangs_on_rounding(own, sampling))
    left = distribution(pipeline(sampling)(own, []))
    seen = np.flatnonzero(left > 1e-5)
    middles = (left.cumsum() - left / 2)[seen].tolist()
    ids, nats = drawn(expecting(values), legal, middles, sampling)
    assert ids == seen.tolist()
    wanted = [negative_log_probability(own, token) for token in ids]
    assert nats == pytest.approx(wanted, abs=1e-5), "what the filters do costs nothing"


@quick
@given(st.lists(st.integers(1, 9), min_size=1, max_size=10), chosen)
def test_what_is_left_is_what_brute_force_leaves(counts, sampling):
    """Counts as probabilities, each raised to 1 / T: sets are built a token at a time."""
    values = np.log(np.array(counts, np.float64)).astype(np.float32).astype(np.float64)
    assume(0.05 <= sampling.temperature <= 20 and not hangs_on_rounding(values, sampling))
    p = {v: math.exp(z / sampling.temperature) for v, z in enumerate(values)}
    levels = sorted(set(values), reverse=True)
    left: set[int] = set(p)
    for name in ("top_k", "top_p", "min_p"):
        value, wider = getattr(sampling, name), set()
        if value is None or (name == "top_p" and value == 1):
            continue
        total = sum(p[v] for v in left)
        for level in levels:
            if wider and (
                (name == "top_k" and len(wider) >= value)
                or (name == "top_p" and sum(p[v] for v in wider) >= value * total)
                or (
                    name == "min_p" and math.exp((level - levels[0]) / sampling.temperature) < value
                )
            ):
                break
            wider |= {v for v in left if values[v] == level}
        left = wider
    seen, passed, middles = sorted(left), 0.0, []
    for v in seen:
        share = p[v] / sum(p[v] for v in left)
        middles.append(passed + share / 2)
        passed += share
    assume(min(p[v] for v in seen) > 1e-5 * sum(p.values()))
    assert drawn(expecting(values), [True] * len(counts), middles, sampling)[0] == seen


@quick
@given(st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=9, unique=True), st.data())
def test_typical_sampling_is_numpys(values, data):
    p = data.draw(st.floats(0, 1))
    sampling = SamplingSettings(typical_p=p, temperature=data.draw(st.floats(0.5, 2)), top_k=7)
    own = np.array(values)
    before = pipeline(SamplingSettings(temperature=sampling.temperature, top_k=7))(own, [])
    shares = distribution(before)
    shares = shares[shares > 0]
    distances = np.abs(np.log(shares) - (shares * np.log(shares)).sum())
    apart = np.diff(np.sort(distances))
    sums = shares[distances.argsort()].cumsum()
    assume(apart.min(initial=1) > 1e-5 and np.abs(sums - p).min() > 1e-5)
    left = distribution(pipeline(sampling)(own, []))
    seen = np.flatnonzero(left > 1e-4)
    middles = (left.cumsum() - left / 2)[seen].tolist()
    assert drawn(expecting(values), [True] * len(values), middles, sampling)[0] == seen.tolist()


def test_typical_sampling_at_hardly_any_temperature():
    """Where what may not be drawn has an infinite logit."""
    sampling = SamplingSettings(typical_p=0.5, temperature=1e-310)
    ids, _ = drawn(expecting([5, 0, 0, -1]), [False, True, True, True], [0, 0.25, 0.75], sampling)
    assert ids == [1, 1, 2]


close = math.nextafter(-1.0, 0)
orders = st.lists(
    st.one_of(st.sampled_from([-1.0, close, -5e-324, 0.0]), st.floats(-1000, 0)),
    min_size=1,
    max_size=20,
)


@quick
@given(orders, st.data())
def test_the_first_in_order_are_brought_to_the_front(order, data):
    from charlm.generation.native.cuts import largest

    count = len(order)
    mass = data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    tokens = data.draw(st.integers(1, count))
    share = data.draw(st.sampled_from([math.inf, *np.cumsum(mass)[:5].tolist()]))
    moved, moved_mass = np.array(order), np.array(mass, np.float64)
    found = largest(moved, moved_mass, count, float(tokens), float(share))
    pairs = sorted(zip(order, mass, strict=True), reverse=True)
    sums = np.cumsum([m for _, m in pairs])
    last = min(tokens, 1 + int(np.searchsorted(sums, min(share, sums[-1] + 1)))) - 1
    wanted = [pair for pair in pairs if pair[0] >= pairs[min(last, count - 1)][0]]
    front = list(zip(moved[:found].tolist(), moved_mass[:found].tolist(), strict=True))
    assert sorted(front, reverse=True) == wanted
    whole = list(zip(moved.tolist(), moved_mass.tolist(), strict=True))
    assert sorted(whole, reverse=True) == pairs, "what was there is there"


@pytest.mark.parametrize(
    "order", [np.zeros(33_000), -(2.0 ** -(np.arange(33_000) / 40)), np.linspace(-9, 0, 33_000)],
    ids=["all tie", "closer and closer to 0", "evenly"],
)  # fmt: skip
def test_of_many_words(order):
    from charlm.generation.native.cuts import largest

    for k in (1, 3_000, 32_999):
        moved = np.random.default_rng(k).permutation(order)
        least = np.sort(order)[-k]
        found = largest(moved, np.ones(len(order)), len(order), float(k), math.inf)
        assert found == (order >= least).sum() and moved[:found].min() == least


@pytest.mark.parametrize("name", COMPILED)
def test_of_every_network(name):
    """With the same numbers, the tokens that NumPy's filters draw of its logits."""
    config = config_of(**ARCHITECTURES[name])
    decoder = compiled.compiled_decoder_of(config, weights_of(model_of(config)), lambda said: None)
    size, streams = decoder._vocabulary, 40
    sampling = SamplingSettings(temperature=1.2, top_k=5, top_p=0.8, min_p=0.05)
    state = decoder.advance(np.arange(streams) % size, decoder.empty_state(streams))
    uniforms = np.random.default_rng(2).random((3, streams))
    rules = Rules(Letters("\nabcdefghijklm"[:size]).grammar, [None])
    ids, _, _ = decoder.write(state, rules, np.zeros(streams, np.uint8), uniforms, sampling)
    filters = pipeline(sampling)
    for row, numbers in zip(ids, uniforms, strict=True):
        for own, token, u in zip(decoder.logits(state), row, numbers, strict=True):
            assert token == choose(filters(own.astype(np.float64), []), u)
        state = decoder.advance(row, state)


def test_only_what_looks_back_takes_a_step_at_a_time(monkeypatch):
    assert "repetition_penalty" not in KNOWN
    assert list(KNOWN) == [name for name in LOGIT_FILTERS if name in KNOWN]
    assert known(SamplingSettings(temperature=0.7, top_k=3, top_p=0.9, min_p=0.1, typical_p=0.9))
    assert known(SamplingSettings(greedy=True))
    assert not known(SamplingSettings(top_p=0.9, repetition_penalty=1.1))
    monkeypatch.setattr(drawing, "_Filtered", None)
    tokenizer = fit_tokenizer(TokenizerSettings(kind="byte"), ["a"])
    decoder = expecting([0.0] * 256)
    for each, refused in (({"top_p": 0.5}, False), ({"repetition_penalty": 1.1}, True)):
        wanted = GenerationSettings(length=9, sampling=SamplingSettings(**each))
        pieces = generate(decoder, tokenizer, "a", wanted)
        if refused:
            with pytest.raises(TypeError):
                list(pieces)
        else:
            assert list(pieces)
