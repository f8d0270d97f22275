"""Detectors: what a reader who has come so far knows, character by character."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm import registry
from charlm.errors import UsageError
from charlm.evaluation.detectors import detected

EXAMPLES = {
    "quotes": ('a "b" c“d”"e\n\nf', "001100011011100"),
    "brackets": ("a(b[c)d]e})", "01122110000"),
    "line-position": ("ab\n\nabc", "1200123"),
    "word-position": ("ab c\td", "120101"),
    "capitals": ("aBÄ1", "0110"),
    "digits": ("a1²b", "0110"),
    "ab+": ("xabbxab", "0111011"),
    "^a": ("ab\nab", "10010"),
}


@pytest.mark.parametrize("what", EXAMPLES)
def test_each_by_an_example(what):
    text, wanted = EXAMPLES[what]
    assert "".join(f"{value:.0f}" for value in detected(what, text)) == wanted


@given(st.text('ab "“”\n([)]1A', max_size=30), st.text('ab "\n([)]1A', max_size=5))
def test_a_reader_does_not_know_what_comes(text, rest):
    for what in registry.DETECTORS:
        found = detected(what, text)
        assert found.shape == (len(text),) and np.isfinite(found).all()
        np.testing.assert_array_equal(detected(what, text + rest)[: len(text)], found)


def test_every_detector_has_an_example():
    assert set(registry.DETECTORS) <= set(EXAMPLES)


def test_what_is_no_regular_expression_is_refused():
    with pytest.raises(UsageError, match="--follow"):
        detected("(", "text")
