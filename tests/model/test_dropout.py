"""What is dropped, for how long, and that it is really dropped."""

import math

import pytest
import torch

from charlm import registry
from charlm.draws import Draws
from charlm.model import dropout
from charlm.model.cells.base import make_cell
from charlm.model.dropout import DropoutRates, Extent
from charlm.model.language_model import Architecture, LanguageModel
from charlm.model.stack import RecurrentStack

T, B, H = 3, 4, 6
KINDS = tuple(registry.TEMPORAL_DROPOUTS)


def temporal(weight, rates, step=1, place="temporal 0", streams=B):
    return dropout.temporal(weight, Extent(T, streams, 2), rates, Draws(1, step), place)


@pytest.fixture
def weight():
    generator = torch.Generator().manual_seed(0)
    return torch.nn.Parameter(torch.randn(4 * H, H, generator=generator))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_mask_holds_nothing_but_0_and_1_over_1_minus_p(p):
    n = 20_000
    m = dropout.mask((100, 200), p, Draws(3, 4), "here", torch.empty(0))
    assert m.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-6)
    dropped = int((m == 0).sum())
    assert abs(dropped - n * p) < 5 * math.sqrt(n * p * (1 - p))
    # So the expectation of x m is x.
    assert abs(float(m.mean()) - 1) < 5 * math.sqrt(p / (1 - p) / n)


def test_masks_follow_seed_step_and_place_alone():
    def mask(seed, step, place):
        return dropout.mask((40, 5), 0.5, Draws(seed, step), place, torch.empty(0))

    first = mask(1, 2, "input")
    torch.rand(3)  # the global generator is no part of it
    assert torch.equal(first, mask(1, 2, "input"))
    for other in (mask(2, 2, "input"), mask(1, 3, "input"), mask(1, 2, "output")):
        assert not torch.equal(first, other)


def test_a_locked_mask_is_one_for_all_steps_and_differs_between_streams():
    x = torch.rand(T, B, 50) + 1
    factor = dropout.locked(x, 0.5, Draws(1, 1), "input") / x
    assert torch.allclose(factor, factor[:1].expand_as(factor))
    rows = factor[0].round().int()
    assert len({tuple(row.tolist()) for row in rows}) == B
    assert set(rows.unique().tolist()) == {0, 2}


@pytest.mark.parametrize(("p", "draws"), [(0.0, Draws(1, 1)), (0.5, None)])
def test_nothing_is_dropped_at_0_and_in_evaluation(weight, p, draws):
    x = torch.randn(T, B, H)
    assert dropout.locked(x, p, draws, "input") is x
    ids = torch.arange(T * B).view(T, B)
    assert torch.equal(dropout.embedded(ids, weight, p, draws), weight[ids])
    for kind in KINDS if p == 0 else ():
        drop = temporal(weight, DropoutRates(temporal=p, temporal_kind=kind))
        assert drop.weight_hh is weight and drop.hidden_mask is None and drop.zone is None


@pytest.mark.parametrize("mask", ["shared", "stream"])
@pytest.mark.parametrize("kind", KINDS)
class TestTemporal:
    """Four public implementations of weight-drop silently did nothing; these would show it."""

    def model(self, zoneout=0.0):
        architecture = Architecture(9, "lstm", 2, H, 5, False, zoneout=zoneout)
        return LanguageModel(architecture).initialise("orthogonal", Draws(0, 0))

    def run(self, model, rates, step):
        ids = torch.arange(T * B).view(T, B) % 9
        draws = None if step is None else Draws(1, step)
        return model(ids, model.empty_state(B), (), rates, draws).outputs

    def test_steps_differ_and_the_same_step_repeats(self, kind, mask):
        model = self.model()
        rates = DropoutRates(temporal=0.5, temporal_kind=kind, temporal_mask=mask)
        first = self.run(model, rates, 1)
        assert torch.equal(first, self.run(model, rates, 1))
        assert not torch.equal(first, self.run(model, rates, 2))

    def test_evaluation_and_p_0_give_the_undropped_output(self, kind, mask):
        model = self.model()
        rates = DropoutRates(temporal=0.5, temporal_kind=kind, temporal_mask=mask)
        plain = self.run(model, None, None)
        assert torch.equal(self.run(model, rates, None), plain)
        nothing = DropoutRates(temporal=0.0, temporal_kind=kind, temporal_mask=mask)
        assert torch.equal(self.run(model, nothing, 1), plain)
        assert not torch.equal(self.run(model, rates, 1), plain)
        if kind == "zoneout":  # a network that was trained with it is measured by its mean
            assert not torch.allclose(self.run(self.model(zoneout=0.5), rates, None), plain)

    def test_the_raw_weight_is_trained_and_left_unchanged(self, kind, mask):
        model = self.model()
        rates = DropoutRates(temporal=0.5, temporal_kind=kind, temporal_mask=mask)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.run(model, rates, 1).sum().backward()
        for name, p in model.named_parameters():
            assert torch.equal(p, before[name]), name
            if "weight_hh" in name:
                assert p.is_leaf and p.grad is not None and p.grad.any(), name

    def test_layers_are_dropped_apart(self, kind, mask, weight):
        rates = DropoutRates(temporal=0.5, temporal_kind=kind, temporal_mask=mask)
        drops = [temporal(weight, rates, place=f"temporal {layer}") for layer in range(2)]
        found = [
            d.zone[0] if d.zone else d.weight_hh if d.hidden_mask is None else d.hidden_mask
            for d in drops
        ]
        assert not torch.equal(*found)


def test_weight_drop_drops_single_weights(weight):
    p = 0.5
    drop = temporal(weight, DropoutRates(temporal=p, temporal_kind="weight-drop"))
    assert drop.hidden_mask is None
    kept = drop.weight_hh != 0
    torch.testing.assert_close(drop.weight_hh[kept], (weight / (1 - p))[kept])
    assert 0.3 < kept.float().mean() < 0.7
    # No whole column (a hidden unit) and no gate's block repeats another.
    assert kept.any(dim=0).all() and not kept.all(dim=0).any()
    gates = kept.split(H)
    assert not any(torch.equal(gates[0], gate) for gate in gates[1:])


def test_the_gradient_of_a_dropped_weight_is_0_and_of_a_kept_one_scaled(weight):
    drop = temporal(weight, DropoutRates(temporal=0.5, temporal_kind="weight-drop"))
    above = torch.randn(weight.shape)
    drop.weight_hh.backward(above)
    kept = drop.weight_hh.detach() != 0
    torch.testing.assert_close(weight.grad, above * kept * 2)


def test_a_shared_variational_mask_is_a_diagonal_matrix(weight):
    drop = temporal(weight, DropoutRates(temporal=0.5, temporal_mask="shared"))
    assert drop.hidden_mask is None
    columns = (drop.weight_hh / weight).detach()
    m = columns[0].round()
    assert set(m.tolist()) == {0.0, 2.0}
    torch.testing.assert_close(drop.weight_hh, weight @ torch.diag(m))


@pytest.mark.parametrize("kernel", ["auto", "fused", "reference"])
def test_dropped_columns_are_a_masked_state(kernel):
    """W_hh diag(m) for all streams, or h m in each stream: the same network (Gal, eq. 7)."""
    model = LanguageModel(Architecture(9, "lstm", 1, H, 5, False)).initialise(
        "default", Draws(0, 0)
    )
    (layer,) = model.layers
    x = torch.randn(T, B, 5, generator=torch.Generator().manual_seed(2))
    rates = DropoutRates(temporal=0.5, temporal_mask="stream")
    drop = temporal(layer.weight_hh, rates)
    assert drop.weight_hh is layer.weight_hh
    masks = drop.hidden_mask
    assert masks.shape == (B, H)
    assert len({tuple(row.tolist()) for row in masks}) == B, "streams share a mask"
    y, (h, c) = layer(x, layer.empty_state(B), drop, kernel)
    for stream in range(B):
        one = slice(stream, stream + 1)
        columns = dropout.TemporalDrop(layer.weight_hh @ torch.diag(masks[stream]))
        y_1, (h_1, c_1) = layer(x[:, one], layer.empty_state(1), columns, kernel)
        torch.testing.assert_close(y[:, one], y_1, rtol=0, atol=1e-6)
        torch.testing.assert_close(h[one], h_1, rtol=0, atol=1e-6)
        torch.testing.assert_close(c[one], c_1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", ["embedding", "input", "inter_layer", "output", "temporal"])
def test_every_rate_changes_the_loss_and_only_while_training(place):
    model = LanguageModel(Architecture(9, "lstm", 2, H, 5, False)).initialise(
        "orthogonal", Draws(0, 0)
    )
    ids = torch.arange(T * B).view(T, B) % 9
    state = model.empty_state(B)
    plain, _, *_ = model(ids, state)
    rates = DropoutRates(**{place: 0.5})
    dropped, _, *_ = model(ids, state, (), rates, Draws(1, 1))
    evaluated, _, *_ = model(ids, state, (), rates, None)
    assert not torch.equal(dropped, plain)
    assert torch.equal(evaluated, plain)


def test_output_dropout_stands_after_the_last_layer_and_the_state_is_carried_undropped():
    model = LanguageModel(Architecture(9, "lstm", 2, H, 5, False)).initialise(
        "orthogonal", Draws(0, 0)
    )
    ids = torch.arange(T * B).view(T, B) % 9
    plain, plain_state, _ = model(ids, model.empty_state(B))
    dropped, state, *_ = model(ids, model.empty_state(B), (), DropoutRates(output=0.5), Draws(1, 1))
    factor = (dropped / plain).detach()
    assert torch.equal(factor.round(), factor[:1].round().expand_as(factor))
    assert set(factor.round().unique().tolist()) == {0.0, 2.0}
    assert torch.equal(state[1][0], plain_state[1][0])


def test_inter_layer_dropout_leaves_the_first_layer_and_the_output_alone():
    model = LanguageModel(Architecture(9, "lstm", 2, H, 5, False)).initialise(
        "orthogonal", Draws(0, 0)
    )
    ids = torch.arange(T * B).view(T, B) % 9
    _, plain, _ = model(ids, model.empty_state(B))
    y, state, *_ = model(ids, model.empty_state(B), (), DropoutRates(inter_layer=0.5), Draws(1, 1))
    assert torch.equal(state[0][0], plain[0][0]) and torch.equal(state[0][1], plain[0][1])
    assert not torch.equal(state[1][0], plain[1][0])
    assert torch.equal(y[-1], state[1][0]), "the output itself was dropped"


def test_embedding_dropout_drops_whole_words_at_all_their_places(weight):
    ids = torch.tensor([[1, 2, 3, 4], [2, 2, 9, 1], [7, 3, 1, 5]])
    vectors = dropout.embedded(ids, weight, 0.5, Draws(1, 3))
    factor = (vectors / weight[ids]).detach()
    assert torch.equal(factor.round(), factor[..., :1].round().expand_as(factor))
    by_word = {}
    for word, row in zip(ids.flatten().tolist(), factor.flatten(0, 1), strict=True):
        by_word.setdefault(word, set()).add(round(float(row[0])))
    assert all(len(seen) == 1 for seen in by_word.values())
    assert {0, 2} == set().union(*by_word.values())
    vectors.sum().backward()
    dropped = [word for word, seen in by_word.items() if seen == {0}]
    assert not weight.grad[dropped].any() and weight.grad.any()


def test_zoneout_keeps_units_for_a_step_and_draws_for_each_part_of_the_state(weight):
    p, n = 0.3, 20_000
    rates = DropoutRates(temporal=p, temporal_kind="zoneout")
    drop = dropout.temporal(weight, Extent(n // H // B, B, 2), rates, Draws(1, 1), "temporal 0")
    assert drop.weight_hh is weight and drop.hidden_mask is None
    h, c = drop.zone
    assert not torch.equal(h, c)
    for stays in drop.zone:
        assert set(stays.unique().tolist()) == {0.0, 1.0}
        assert abs(float(stays.mean()) - p) < 5 * math.sqrt(p * (1 - p) / stays.numel())
        assert not torch.equal(stays[0], stays[1])
    piece = drop.between(3, 5).zone
    assert torch.equal(piece[0], h[3:5]) and torch.equal(piece[1], c[3:5])


def test_zoneout_draws_anew_in_each_window_of_a_text(weight):
    """And what is locked over time is the same in all of them."""
    extent, first, later = Extent(T, B, 1), Draws(1, 1), Draws(1, 1, begin=T)
    drawn = {
        kind: [
            dropout.temporal(
                weight, extent, DropoutRates(temporal=0.4, temporal_kind=kind), at, "x"
            )
            for at in (first, later)
        ]
        for kind in ("zoneout", "variational")
    }
    zones = [drop.zone[0] for drop in drawn["zoneout"]]
    assert not torch.equal(*zones)
    assert torch.equal(*(drop.weight_hh for drop in drawn["variational"]))


@pytest.mark.parametrize("cell", registry.CELLS)
def test_a_shared_mask_is_a_mask_for_each_stream_that_is_the_same(cell):
    """W_hh diag(m) masks what products read and nothing else: a gated unit keeps its memory."""
    stack = RecurrentStack(make_cell(cell), 5, (H,))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in stack.parameters():
            p.normal_(0, 0.5, generator=generator)
    (layer,) = stack
    m = torch.tensor([0.0, 2, 2, 0, 2, 2])
    x = torch.randn(T, B, 5, generator=generator)
    state = tuple(torch.randn(B, H, generator=generator) for _ in stack.cell.state_names)
    for kernel in ("auto", "fused", "reference"):
        columns = layer(x, state, dropout.TemporalDrop(layer.weight_hh * m), kernel)
        masked = layer(x, state, dropout.TemporalDrop(layer.weight_hh, m.expand(B, H)), kernel)
        torch.testing.assert_close(columns[0], masked[0], rtol=0, atol=1e-6)
