"""Counts of a run's own text: of all of it, or of stretches where it is long."""

import numpy as np
import pytest
from reference.texts import english

import charlm
from charlm.adaptation import CountSettings
from charlm.evaluation import own_counts
from charlm.evaluation.own_counts import _some_of, order_of
from charlm.evaluation.own_text import own_part
from charlm.model.kneser_ney import KneserNey
from charlm.registry import TOKENIZERS
from charlm.text.counts import TextCounts
from charlm.text.part_files import Part
from evaluation.models import Text, tokenizer_of


def mixture(run, said=None, **settings):
    say = said.append if said is not None else lambda message: None
    return charlm.load(run).mixture(CountSettings(**settings), say)


def same(one, other, tokenizer):
    ids = tokenizer.encode(english(1, seed=5) + "聞")
    about = ids, tokenizer.grammar.states(ids), np.array([tokenizer.boundary_id])
    for found, wanted in zip(one.chances(*about), other.chances(*about), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_it_is_the_training_text_that_is_counted(tiny_run):
    model, said = charlm.load(tiny_run), []
    found = mixture(tiny_run, said, counts_order=3)
    part = own_part(model.stored, "forward", "train", "")
    tokenizer = model.tokenizer
    grammar = tokenizer.grammar
    about = grammar.states(part.ids), part.documents, grammar.legal, tokenizer.boundary_id
    wanted = KneserNey.count(part.ids, *about, 3)
    same(found.counts, wanted, tokenizer)
    assert f"up to 3 of {len(part.ids):,} tokens (" in said[0]
    assert found.weights[0].max() < 0.1  # after sixty steps the counts know more, whatever comes


def test_a_model_is_counted_once_for_each_order(tiny_run):
    model, said = charlm.load(tiny_run), []
    one = model.mixture(CountSettings(counts_order=2), said.append)
    assert model.mixture(CountSettings(counts_order=2), said.append) is one
    assert model.mixture(CountSettings(counts_order=3), said.append) is not one
    assert len(said) == 2


def test_of_a_long_text_stretches_are_counted(tiny_run, monkeypatch):
    said = []
    part = own_part(charlm.load(tiny_run).stored, "forward", "train", "")
    monkeypatch.setattr(own_counts, "MOST_COUNTED", len(part.ids) // 2)
    monkeypatch.setattr(own_counts, "MOST_WEIGHED", 100)
    few = mixture(tiny_run, said, counts_order=3)
    assert f"of {len(part.ids):,}, spread over the text" in said[0]
    assert few.counts.order == 3


@pytest.mark.parametrize("most", [200, 480, 10**6])
def test_a_stretch_begins_where_a_character_does(most):
    """And what is left of a document is one."""
    tokenizer = tokenizer_of()
    text = Text(tokenizer, ["聞聲" * 300, english(2), "聲" * 200])
    part = Part(text.ids, text.documents, TextCounts())
    ids, documents = _some_of(part, most, tokenizer.grammar)
    assert len(ids) <= most or len(ids) == len(text.ids)
    assert documents[0] == 0 and (np.diff(documents) > 0).all() and documents[-1] < len(ids)
    states = tokenizer.grammar.states(ids)
    assert not states[documents].any()
    assert tokenizer.grammar.legal[states, ids].all()
    # Each lies in one document of the text.
    whole = text.ids.tobytes()
    for document in np.split(ids, documents[1:]):
        assert document.tobytes() in whole


@pytest.mark.parametrize(("kind", "order"), [("char", 12), ("byte", 12), ("bpe", 7), ("word", 5)])
def test_the_usual_order_is_that_of_letters_or_of_words(kind, order):
    assert set(own_counts._ORDERS) == set(TOKENIZERS)
    assert order_of(CountSettings(), tokenizer_of(kind)) == order
    assert order_of(CountSettings(counts_order=7), tokenizer_of(kind)) == 7
