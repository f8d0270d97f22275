"""Windows of a text: what is read where, against the contract's words.

With ids = 0, 1, 2, ... a token is its own position, so that the windows show where they were
read from without a second implementation of the layout.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.registry import TOKENIZERS
from charlm.text.tokenizers.base import Grammar, TokenizerSettings, fit_tokenizer
from charlm.training.batches import StreamBatches

BOUNDARY = 10_000  # no position


@st.composite
def layouts(draw):
    """(text length, document offsets, batch size, bptt, seed) with at least one window."""
    batch, bptt = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    n = draw(st.integers(batch * bptt, batch * bptt * 6 + 5))
    documents = {0} | draw(st.sets(st.integers(0, n - 1), max_size=6))
    return n, np.array(sorted(documents)), batch, bptt, draw(st.integers(0, 2**31))


def batches_of(layout, reset_probability=0.0, variable=False):
    n, documents, batch, bptt, seed = layout
    ids = np.arange(n, dtype=np.uint16)
    anything = Grammar(
        next_state=np.zeros((1, n), np.uint8),
        legal=np.ones((1, n), np.bool_),
        floor_mass=np.zeros(1),
        floor=np.full((1, n), 1 / n),
    )
    return StreamBatches(
        ids, documents, BOUNDARY, anything, batch, bptt, reset_probability, seed, variable
    )


def fresh_of(window):
    """(T, B) bool: before which tokens the state is set back."""
    fresh = np.zeros(window.targets.shape, bool)
    for border in window.borders:
        assert bool(border.fresh.any()), "a border for nobody"
        fresh[border.step] = border.fresh.numpy()
    steps = [border.step for border in window.borders]
    assert steps == sorted(set(steps))
    return fresh


def assert_same(a, b):
    assert torch.equal(a.inputs, b.inputs) and torch.equal(a.targets, b.targets)
    assert np.array_equal(fresh_of(a), fresh_of(b))
    assert (a.first, a.epoch) == (b.first, b.epoch)


@settings(deadline=None, max_examples=80)
@given(layouts(), st.sampled_from([0.0, 0.5]), st.booleans(), st.randoms(use_true_random=False))
def test_a_window_is_a_function_of_seed_and_step_alone(layout, resets, variable, random):
    batches = batches_of(layout, resets, variable)
    steps = list(range(min(12, 2 * batches.windows_per_epoch + 1)))
    in_order = [batches.window(step) for step in steps]
    shuffled = random.sample(steps, len(steps))
    for step in shuffled:
        np.random.seed(step)
        torch.manual_seed(step)
        assert_same(batches_of(layout, resets, variable).window(step), in_order[step])
        assert_same(batches.window(step), in_order[step])


@settings(deadline=None, max_examples=80)
@given(layouts(), st.booleans())
def test_an_epoch_reads_contiguous_streams_and_no_position_twice(layout, variable):
    n, _, batch, bptt, _ = layout
    batches = batches_of(layout, variable=variable)
    if not variable:
        assert batches.windows_per_epoch == n // batch // bptt
    lengths = None
    for epoch in range(3):
        first = epoch * batches.windows_per_epoch
        windows = [batches.window(first + k) for k in range(batches.windows_per_epoch)]
        targets = torch.cat([window.targets for window in windows]).numpy()  # (time, B)
        if lengths is not None:
            assert sorted(map(len, (window.targets for window in windows))) == lengths
        lengths = sorted(len(window.targets) for window in windows)
        assert targets.shape == (sum(lengths), batch) and sum(lengths) <= n // batch
        # No more is left over than would not make another window.
        assert n // batch - sum(lengths) < bptt + max(1, round(bptt / 10))
        assert len(np.unique(targets)) == targets.size
        assert ((targets[1:] - targets[:-1]) % n == 1).all()
        assert [window.first for window in windows] == [True] + [False] * (len(windows) - 1)
        assert [window.epoch for window in windows] == pytest.approx(
            [epoch + (k + 1) / len(windows) for k in range(len(windows))]
        )
        for window in windows:
            assert window.tokens == batch * len(window.targets)
            assert window.share == len(window.targets) / bptt
            assert variable or window.share == 1
        if epoch == 0:
            assert targets[0, 0] == 0


@settings(deadline=None, max_examples=80)
@given(layouts())
def test_the_input_is_the_token_before_and_at_a_document_the_boundary(layout):
    _n, documents, *_ = layout
    batches = batches_of(layout)
    for step in range(2 * batches.windows_per_epoch):
        window = batches.window(step)
        inputs, targets, fresh = window.inputs.numpy(), window.targets.numpy(), fresh_of(window)
        begins = np.isin(targets, documents)
        assert np.array_equal(fresh, begins)
        assert (inputs[begins] == BOUNDARY).all()
        assert np.array_equal(inputs[~begins], targets[~begins] - 1)
        assert window.inputs.dtype == window.targets.dtype == torch.int64


def test_epochs_begin_at_different_places():
    batches = batches_of((500, np.array([0]), 2, 5, 1))
    per_epoch = batches.windows_per_epoch
    places = [int(batches.window(e * per_epoch).targets[0, 0]) for e in range(8)]
    assert places[0] == 0
    assert len(set(places)) >= 7


def test_resets_come_as_often_as_asked_at_window_starts_and_keep_the_true_input():
    p, batch, bptt = 0.3, 4, 3
    batches = batches_of((6000, np.array([0]), batch, bptt, 5), reset_probability=p)
    plain = batches_of((6000, np.array([0]), batch, bptt, 5))
    count = batches.windows_per_epoch
    resets = np.zeros((count, batch), bool)
    for step in range(count):
        window = batches.window(step)
        fresh = fresh_of(window)
        assert torch.equal(window.inputs, plain.window(step).inputs)
        assert not fresh[1:].any()
        resets[step] = fresh[0]
    drawn = resets[1:]  # the very first is the start of the document
    for stream in range(batch):
        expected, deviation = p * (count - 1), math.sqrt(p * (1 - p) * (count - 1))
        assert abs(drawn[:, stream].sum() - expected) < 5 * deviation
    both = (drawn[:, 0] & drawn[:, 1]).mean()
    assert both == pytest.approx(p * p, abs=5 * p / math.sqrt(count)), "streams reset together"


@pytest.mark.parametrize("kind", list(TOKENIZERS))
def test_spelling_states_are_those_of_reading_each_document_from_its_start(kind):
    """Documents full of spelled characters, so that windows begin inside of them."""
    texts = ["aab\né聞aβb", "𐍈b\n", "b聞聞聞\n\naéé"]
    tokenizer = fit_tokenizer(TokenizerSettings(kind=kind, min_count=None), ["aabb\n"])
    encoded = [tokenizer.encode(text) for text in texts]
    ids = np.concatenate(encoded)
    wanted = []
    for part in encoded:
        state = 0
        for token in part:
            wanted.append(state)
            state = tokenizer.grammar.next_state[state, token]
        assert state == 0
    assert len(set(wanted)) > 3
    documents = np.cumsum([0, *map(len, encoded[:-1])])
    for batch, bptt in ((1, 3), (2, 5), (3, 1)):
        batches = StreamBatches(
            ids, documents, tokenizer.boundary_id, tokenizer.grammar, batch, bptt, 0.0, 3
        )
        positions = batches_of((len(ids), documents, batch, bptt, 3))
        for step in range(4 * batches.windows_per_epoch):
            window, where = batches.window(step), positions.window(step).targets.numpy()
            assert np.array_equal(window.targets.numpy(), ids[where])
            assert np.array_equal(window.states, np.array(wanted)[where])


@pytest.mark.parametrize(("p", "share"), [(0.0, 0), (1.0, 1)])
def test_no_resets_and_nothing_but_resets(p, share):
    batches = batches_of((300, np.array([0]), 2, 3, 5), reset_probability=p)
    found = [fresh_of(batches.window(step))[0] for step in range(1, 40)]
    assert np.mean(found) == share


def test_variable_lengths_are_few_around_bptt_and_come_in_another_order_each_epoch():
    """Merity et al. 2018, sec. 4.1, with d = bptt / 10 in place of a normal spread."""
    bptt = 70
    batches = batches_of((2 * 70 * 4000, np.array([0]), 2, bptt, 3), variable=True)
    count = batches.windows_per_epoch
    epochs = [
        np.array([len(batches.window(epoch * count + k).targets) for k in range(count)])
        for epoch in range(2)
    ]
    assert not np.array_equal(*epochs)
    assert np.array_equal(*map(np.sort, epochs))
    for length, share in ((35, 0.05), (63, 0.2375), (70, 0.475), (77, 0.2375)):
        found = (epochs[0] == length).mean()
        assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / count)
    assert set(epochs[0]) == {35, 63, 70, 77}
    around = epochs[0][epochs[0] > 35]
    assert 4.5 < around.std() < 5.5, "the paper's spread is 5"


def test_another_seed_cuts_otherwise():
    cut = [batches_of((900, np.array([0]), 1, 20, seed), variable=True) for seed in (1, 2)]
    first = [[len(b.window(k).targets) for k in range(20)] for b in cut]
    assert first[0] != first[1]
