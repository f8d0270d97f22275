"""What `look` sees is what the network does: bits, alternatives, gates, and units that follow."""

import numpy as np
import pytest
import torch
from model.kinds import CELLS

from charlm.draws import Draws
from charlm.errors import DataError, UsageError
from charlm.evaluation.looking import look
from charlm.evaluation.scoring import LineScorer
from charlm.evaluation.unit_activity import Unit, best_follower, correlations, memories, traces
from charlm.looking import LookSettings
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

TEXT = 'she said "the cat sat" on 12 mats\nthe cat (a cat) sat\n' * 6
KINDS = {
    "char": TokenizerSettings(kind="char"),
    "byte": TokenizerSettings(kind="byte"),
    "word": TokenizerSettings(kind="word"),
    "unk": TokenizerSettings(kind="word", word_oov="unk"),
    "bpe": TokenizerSettings(kind="bpe", vocab_size=280),
}
NEW = 'the café sat\n "Zoë, 李"  on the\tcat'


def model_for(vocabulary, cell="lstm", hidden=6, seed=0, **more):
    model = LanguageModel(Architecture(vocabulary, cell, 2, hidden, 5, False, **more))
    model.initialise("default", Draws(seed, 0))
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.6, generator=torch.Generator().manual_seed(seed))
    return model.eval()


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return fit_tokenizer(KINDS[request.param], [TEXT])


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_pieces_are_the_text_and_cost_what_score_charges(tokenizer, direction):
    model = model_for(tokenizer.vocabulary_size)
    seen = look(model, tokenizer, NEW, LookSettings(), direction=direction)
    text = "".join(piece.text for piece in seen.pieces)
    assert text == tokenizer.decode(tokenizer.encode(NEW))
    assert all(piece.text for piece in seen.pieces)
    (scored,) = LineScorer(model, tokenizer, False, direction).score([NEW])
    assert seen.bits == pytest.approx(scored.bits, rel=1e-5)
    if tokenizer.kind == "char":  # a spelled character is one piece
        assert [piece.text for piece in seen.pieces] == list(NEW)
        place = NEW.index("é")
        marker = len(tokenizer.encode(NEW[:place]))
        wanted = scored.token_bits[marker : marker + 3].sum()
        assert seen.pieces[place].bits == pytest.approx(wanted, rel=1e-5)
    assert not seen.shortened and seen.characters == len(text)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_alternatives_are_a_distribution_that_prices_the_token(tokenizer, direction):
    model, V = model_for(tokenizer.vocabulary_size), tokenizer.vocabulary_size
    settings = LookSettings(alternatives=min(1000, V))
    seen = look(model, tokenizer, "the cat\nsat", settings, direction=direction)
    ids = tokenizer.encode("the cat\nsat").tolist()
    assert len(seen.pieces) <= len(ids)
    for place, piece in enumerate(seen.pieces):
        p = [value for _, value in piece.alternatives]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        assert p == sorted(p, reverse=True)
        if len(seen.pieces) == len(ids):
            own = dict(piece.alternatives)[tokenizer.token_text(ids[place])]
            assert -np.log2(own) == pytest.approx(piece.bits, rel=1e-3, abs=1e-4)
    few = look(model, tokenizer, "the cat\nsat", LookSettings(alternatives=2), direction=direction)
    for piece, whole in zip(few.pieces, seen.pieces, strict=True):
        assert piece.alternatives == whole.alternatives[:2]


def test_a_shorter_look_is_the_beginning_of_a_longer_one(tokenizer):
    model = model_for(tokenizer.vocabulary_size)
    whole = look(model, tokenizer, NEW, LookSettings())
    for length in range(1, len(tokenizer.encode(NEW))):
        part = look(model, tokenizer, NEW, LookSettings(length=length), follow=["word-position"])
        assert part.shortened == (len(part.pieces) < len(whole.pieces))
        for a, b in zip(part.pieces[:-1], whole.pieces, strict=False):
            assert a.text == b.text and a.bits == pytest.approx(b.bits, rel=1e-4)
        assert all(len(v) == len(part.pieces) for v in part.units[0].values.values())


def test_a_backward_model_has_read_all_that_comes_after():
    """However much is shown, and whether a unit is followed or not."""
    tokenizer = fit_tokenizer(KINDS["char"], [TEXT])
    model, text = model_for(tokenizer.vocabulary_size), NEW * 9
    whole = look(model, tokenizer, text, LookSettings(), direction="backward")
    some = look(model, tokenizer, text, LookSettings(length=40), direction="backward")
    bits = [piece.bits for piece in some.pieces]
    assert bits == pytest.approx([piece.bits for piece in whole.pieces[: len(bits)]], rel=1e-6)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_activity_is_what_the_network_does(name, zoneout):
    kind, ids = CELLS[name], [1, 4, 2, 2, 0]
    more = {"nonlinearity": kind.nonlinearity, "bias": kind.bias, "zoneout": zoneout}
    model = model_for(7, kind.cell, **more)
    units = [Unit(2, 3), Unit(1, 6)]
    with torch.no_grad():
        passed = model(torch.tensor(ids)[:, None], model.empty_state(1))
    for unit, seen in zip(units, traces(model, ids, units), strict=True):
        assert set(seen) == {*model.layers.cell.gate_names, *model.layers.cell.state_names}
        for part, state in zip(
            model.layers.cell.state_names, passed.state[unit.layer - 1], strict=True
        ):
            assert seen[part][-1] == pytest.approx(float(state[0, unit.number - 1]), abs=1e-5)
        if {"r", "z"} <= set(seen) or "f" in seen:
            for gate in {"i", "f", "o", "r", "z"} & set(seen):
                assert ((seen[gate] > 0) & (seen[gate] < 1)).all()
    top = traces(model, ids, [Unit(2, n) for n in range(1, 7)])
    outputs = np.stack([seen["h"] for seen in top], axis=1)
    np.testing.assert_allclose(outputs, passed.outputs[:, 0].numpy(), atol=1e-5)
    held = memories(model, ids)
    assert held.shape == (5, 12)
    memory = model.layers.cell.memory
    np.testing.assert_allclose(held[:, 8], np.tanh(traces(model, ids, [Unit(2, 3)])[0][memory]))


def test_gates_are_those_of_the_equation():
    """c_t = f c_{t-1} + i g and h_t = o tanh(c_t); h_t = (1 - z) h_{t-1} + z n."""
    (seen,) = traces(model_for(7), [1, 4, 2, 3], [Unit(1, 2)])
    before = np.concatenate([[0], seen["c"][:-1]])
    np.testing.assert_allclose(seen["c"], seen["f"] * before + seen["i"] * seen["g"], atol=1e-6)
    np.testing.assert_allclose(seen["h"], seen["o"] * np.tanh(seen["c"]), atol=1e-6)
    (seen,) = traces(model_for(7, "gru-cho"), [1, 4, 2, 3], [Unit(1, 2)])
    before = np.concatenate([[0], seen["h"][:-1]])
    np.testing.assert_allclose(
        seen["h"], (1 - seen["z"]) * before + seen["z"] * seen["n"], atol=1e-6
    )


def test_correlations_are_pearsons():
    rng = np.random.default_rng(0)
    held, followed = rng.normal(size=(9, 4)), rng.normal(size=9)
    held[:, 2] = 3
    wanted = [np.corrcoef(held[:, n], followed)[0, 1] if n != 2 else 0 for n in range(4)]
    np.testing.assert_allclose(correlations(held, followed), wanted, atol=1e-12)


def test_what_follows_by_chance_does_not_follow_in_the_second_half():
    rng = np.random.default_rng(1)
    followed = rng.normal(size=80)
    held = rng.normal(size=(80, 300))
    column, r = best_follower(held, followed)
    assert abs(np.corrcoef(held[:40, column], followed[:40])[0, 1]) > 0.35
    assert abs(r) < 0.35
    held[:, 200] = -followed + 0.1 * rng.normal(size=80)
    column, r = best_follower(held, followed)
    assert column == 200 and r < -0.95
    followed[40:] = 1
    assert best_follower(held, followed) is None


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_unit_that_was_made_to_follow_is_found(direction):
    """A plain network whose unit 4 of layer 1 hears the letter a alone."""
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), ["abc \n" * 9])
    model = model_for(tokenizer.vocabulary_size, "rnn", nonlinearity="tanh")
    text = "".join(np.random.default_rng(0).choice(list("abc \n"), 60))
    with torch.no_grad():
        layer = model.layers[0]
        layer.weight_ih[3], layer.weight_hh[3], layer.bias_ih[3], layer.bias_hh[3] = 0, 0, 0, 0
        layer.weight_ih[3, 0] = 2
        model.embedding.weight[:, 0] = 0
        model.embedding.weight[int(tokenizer.encode("a")[0]), 0] = 1
    seen = look(model, tokenizer, text, LookSettings(), follow=["a", "all"], direction=direction)
    found = {unit.follows: unit for unit in seen.units}
    assert set(found) == {"a", "line-position", "word-position"}
    assert found["a"].unit == Unit(1, 4) and found["a"].correlation == pytest.approx(1)
    high = found["a"].values["h"] > 0.5
    assert [piece.text == "a" for piece in seen.pieces] == high.tolist()


def test_what_cannot_be_looked_at_is_refused():
    tokenizer = fit_tokenizer(KINDS["char"], [TEXT])
    model = model_for(tokenizer.vocabulary_size)
    with pytest.raises(DataError, match="no token"):
        look(model, tokenizer, "", LookSettings())
    for unit in ((0, 1), (3, 1), (1, 7), (2, 0)):
        with pytest.raises(UsageError, match="layer 2 has 6"):
            look(model, tokenizer, NEW, LookSettings(), units=[unit])
    with pytest.raises(DataError, match="digits"):
        look(model, tokenizer, "no number", LookSettings(), follow=["digits"])
    for wrong in ({"length": 0}, {"alternatives": -1}):
        with pytest.raises(UsageError):
            LookSettings(**wrong)
