"""Counts of a run's own text: of all of it, or of stretches where it is long."""

from itertools import pairwise

import numpy as np
import pytest
from reference.texts import english

import charlm
from charlm.adaptation import CountSettings
from charlm.evaluation import own_counts
from charlm.evaluation.device import put_to_work
from charlm.evaluation.own_counts import order_of, some_of
from charlm.evaluation.own_text import own_parts
from charlm.evaluation.pieces import Piece
from charlm.evaluation.token_nats import TokenReader
from charlm.model.count_mixture import CountMixture
from charlm.model.kneser_ney import KneserNey
from evaluation.models import Text, tokenizer_of


def own(run, said=None, **settings):
    say = said.append if said is not None else lambda message: None
    return charlm.load(run).own_counts(CountSettings(**settings), say)


def parts_of(run):
    """The texts of the run, train and valid."""
    return own_parts(charlm.load(run).stored, "forward", {"train": "", "valid": ""})


def same(one, other, tokenizer):
    ids = tokenizer.encode(english(1, seed=5) + "聞")
    about = ids, tokenizer.grammar.states(ids), np.array([tokenizer.boundary_id])
    for found, wanted in zip(one.chances(*about), other.chances(*about), strict=True):
        np.testing.assert_array_equal(found, wanted)


def counted(tokenizer, ids, documents, order):
    grammar = tokenizer.grammar
    about = grammar.states(ids), documents, grammar.legal, tokenizer.boundary_id
    return KneserNey.count(ids, *about, order)


def learned(model, counts, ids, documents, cold=0):
    """Token by token, from the whole distributions; without the first ones of later documents."""
    network, tokenizer = model.language_model, model.tokenizer
    reader, nats, chances, kinds = TokenReader(network, tokenizer.grammar), [], [], []
    for begin, end in pairwise([*documents, len(ids)]):
        document = ids[begin:end]
        piece = Piece(0, len(document), True, tokenizer.boundary_id, 0)
        ((_, reading),) = reader.read(document, [piece])
        first = cold if begin else 0
        nats.append(reading.nats[first:])
        states = tokenizer.grammar.states(document)
        for t, token in list(enumerate(document))[first:]:
            before = np.array([tokenizer.boundary_id, *document[:t]])
            p, kind = counts.distribution(before, int(states[t]))
            chances.append(p[:, token])
            kinds.append(kind)
    return CountMixture.learned(counts, np.concatenate(nats), np.array(chances).T, np.array(kinds))


def test_the_training_text_is_counted_and_the_valid_text_weighs(tiny_run):
    model, said = charlm.load(tiny_run), []
    counts = model.own_counts(CountSettings(counts_order=3), said.append)
    train, valid = parts_of(tiny_run)
    same(counts.counts, counted(model.tokenizer, train.ids, train.documents, 3), model.tokenizer)
    found = counts.mixture(model.language_model, said.append)
    wanted = learned(model, counts.counts, valid.ids, valid.documents)
    np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-4)
    assert np.ptp(found.weights[0]) > 1e-3  # they are not all one
    assert f"up to 3 of {len(train.ids):,} tokens." in said[0]
    assert f"by {len(valid.ids):,} tokens of the run's own valid text" in said[1]


def test_each_half_of_the_valid_text_has_the_weights_of_the_other(tiny_run):
    model, said = charlm.load(tiny_run), []
    counts = model.own_counts(CountSettings(counts_order=3), said.append)
    _, valid = parts_of(tiny_run)
    assert len(valid.documents) == 1
    middle, start = len(valid.ids) // 2, np.zeros(1, np.int64)
    first, second = counts.mixtures(model.language_model, valid.ids, said.append)
    assert "the weights" not in said[0] and "each half has those of the other" in said[1]
    for found, ids in ((first, valid.ids[middle:]), (second, valid.ids[:middle])):
        wanted = learned(model, counts.counts, ids, start)
        np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-4)
    assert np.abs(first.weights - second.weights).max() > 1e-3
    (one,) = counts.mixtures(model.language_model, valid.ids[:-1], said.append)
    assert one is counts.mixture(model.language_model, said.append)


def test_whoever_measures_what_was_counted_or_weighed_is_told(tiny_run):
    model = charlm.load(tiny_run)
    counts = model.own_counts(CountSettings(counts_order=3), lambda message: None)
    train, valid = parts_of(tiny_run)
    new = model.tokenizer.encode("The old lamp")
    for measured, *told in (
        ([new],),
        ([train.ids[:-1], new],),
        ([train.ids], "was counted"),
        ([new, train.ids], "was counted"),
        ([train.ids, valid.ids], "was counted", "fit best"),
        ([valid.ids, new], "fit best"),
        ([valid.ids], "each half"),
    ):
        said = []
        counts.mixtures(model.language_model, np.concatenate(measured), said.append)
        said = [message for message in said if "Their weights" not in message]
        assert len(said) == len(told)
        assert all(part in message for part, message in zip(told, said, strict=True))


@pytest.mark.parametrize("valid", ["t", "聞", "th", "t聞", "聞聲"])
def test_a_valid_text_of_a_character_or_two_is_one_too(tmp_path, tiny_text, valid):
    (tmp_path / "valid.txt").write_text(valid, "utf-8")
    how = {"steps": 2, "hidden_size": 8, "threads": 1, "valid": str(tmp_path / "valid.txt")}
    charlm.train([tiny_text], tmp_path / "run", **how)
    found = charlm.load(tmp_path / "run").evaluate(tmp_path / "valid.txt", counts=True)
    assert 0 < found["counts"]["nats_per_token"] < 100


def test_a_text_is_counted_once_and_weighed_once_in_each_precision(tiny_run):
    model, said = charlm.load(tiny_run), []
    counts = model.own_counts(CountSettings(counts_order=2), said.append)
    assert model.own_counts(CountSettings(counts_order=2), said.append) is counts
    network = put_to_work(model.language_model)
    exact = counts.mixture(network, said.append)
    assert counts.mixture(network, said.append) is exact and len(said) == 2
    narrow = counts.mixture(put_to_work(network, precision="bf16"), said.append)
    assert (narrow.weights != exact.weights).any()
    assert counts.mixture(put_to_work(network), said.append) is exact and len(said) == 3
    assert model.own_counts(CountSettings(counts_order=3), said.append) is not counts


def test_of_a_long_text_stretches_are_counted(tiny_run, monkeypatch):
    said, tokenizer = [], charlm.load(tiny_run).tokenizer
    train, valid = parts_of(tiny_run)
    monkeypatch.setattr(own_counts, "MOST_COUNTED", 5 * (len(train.ids) // 2))
    monkeypatch.setattr(own_counts, "MOST_WEIGHED", len(valid.ids) // 2)
    found = own(tiny_run, said, counts_order=3)
    about = train.ids, train.documents, len(train.ids) // 2
    ids, documents, cuts = some_of(*about, tokenizer.grammar)
    assert len(documents) == 16 and cuts.tolist() == documents[1:].tolist()
    assert len(ids) == pytest.approx(len(train.ids) // 2, rel=0.1)
    same(found.counts, counted(tokenizer, ids, documents, 3), tokenizer)
    assert f"{len(ids):,} tokens of {len(train.ids):,}, all over the text" in said[0]
    # What the network says when it has just begun in the middle of a text weighs nothing.
    monkeypatch.setattr(own_counts, "_COLD", 5)
    model = charlm.load(tiny_run)
    mixture = found.mixture(model.language_model, said.append)
    ids, documents, cuts = some_of(
        valid.ids, valid.documents, len(valid.ids) // 2, tokenizer.grammar
    )
    assert len(cuts) == 15 and f"by {len(ids) - 15 * 5:,} tokens " in said[1]
    wanted = learned(model, found.counts, ids, documents, cold=5)
    np.testing.assert_allclose(mixture.weights, wanted.weights, atol=1e-4)


@pytest.mark.parametrize("most", [200, 480, 10**6])
def test_a_stretch_begins_where_a_character_does(most):
    """And what is left of a document is one."""
    tokenizer = tokenizer_of()
    text = Text(tokenizer, ["聞聲" * 300, english(2), "聲" * 200])
    ids, documents, _ = some_of(text.ids, text.documents, most, tokenizer.grammar)
    assert len(ids) <= most or len(ids) == len(text.ids)
    assert documents[0] == 0 and (np.diff(documents) > 0).all() and documents[-1] < len(ids)
    states = tokenizer.grammar.states(ids)
    assert not states[documents].any()
    assert tokenizer.grammar.legal[states, ids].all()
    whole = [part.tobytes() for part in np.split(text.ids, text.documents[1:])]
    for document in np.split(ids, documents[1:]):
        assert any(document.tobytes() in each for each in whole)


def test_a_document_that_begins_where_a_stretch_does_is_not_cut():
    tokenizer = tokenizer_of()
    text = Text(tokenizer, ["the lamp\n" * 20, "old lamp\n" * 20])
    _, documents, cuts = some_of(text.ids, text.documents, 160, tokenizer.grammar)
    assert documents.tolist() == list(range(0, 160, 10))
    assert cuts.tolist() == [begin for begin in range(0, 160, 10) if begin not in (0, 80)]


@pytest.mark.parametrize(("kind", "order"), [("char", 12), ("byte", 12), ("bpe", 7), ("word", 5)])
def test_the_usual_order_is_that_of_letters_or_of_words(kind, order):
    assert order_of(CountSettings(), tokenizer_of(kind)) == order
    assert order_of(CountSettings(counts_order=7), tokenizer_of(kind)) == 7
