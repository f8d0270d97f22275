"""Units that are written before others: their text, whatever the tokenizer, and in linear time."""

import functools
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.generation.backward import _BeforePrompt
from charlm.registry import TOKENIZERS
from charlm.text.direction import reversed_units
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

TRAINING = 'She said: "the cat (a big one) sat on 3.5 mats."\n\nÄä 中文中文 it\'s  odd\r\n' * 3
TEXTS = st.text("the cat(sat) 3.5\n\"'中文Ä  \u2581.,z", max_size=30)


@functools.cache
def fitted(kind):
    return fit_tokenizer(TokenizerSettings(kind=kind), [TRAINING])


def units(tokenizer, ids):
    starts = np.flatnonzero(tokenizer.grammar.legal[0][ids]) if len(ids) else np.empty(0, int)
    return [unit.tolist() for unit in np.split(ids, starts[1:])] if len(starts) else []


def written_before(tokenizer, head, tail):
    """What the units of `head` add to a text that goes on with `tail`."""
    prompt = reversed_units(np.array(tail, np.intp), tokenizer.grammar).tolist()
    stream = _BeforePrompt(tokenizer, [tokenizer.boundary_id, *prompt])
    backwards = reversed_units(np.array(head, np.intp), tokenizer.grammar).tolist()
    return "".join(map(stream.feed, backwards))[::-1]


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=80, deadline=None)
@given(text=TEXTS, share=st.floats(0, 1))
def test_units_add_what_the_whole_has_beyond_the_rest(kind, text, share):
    tokenizer = fitted(kind)
    pieces = units(tokenizer, tokenizer.encode(text))
    cut = round(share * len(pieces))
    head, tail = [*chain(*pieces[:cut])], [*chain(*pieces[cut:])]
    whole, rest = tokenizer.decode(head + tail), tokenizer.decode(tail)
    assert written_before(tokenizer, head, tail) == whole[: len(whole) - len(rest)]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_unit_asks_for_no_more_than_its_neighbour(kind, monkeypatch):
    tokenizer = fitted(kind)
    ids = tokenizer.encode("the cat sat on the mats " * 20)
    longest, decode = [], tokenizer.decode
    monkeypatch.setattr(tokenizer, "decode", lambda ids: longest.append(len(ids)) or decode(ids))
    written_before(tokenizer, ids.tolist(), [])
    assert max(longest) <= 2 * max(map(len, units(tokenizer, ids)))
