"""The reported figures by hand."""

import json
import math

import pytest

from charlm.evaluation.figures import Figures
from charlm.text.counts import TextCounts, count_text


def test_figures_of_a_text_counted_by_hand():
    counts = count_text(["zwölf Boxkämpfer\njagen 聞\n"])
    assert counts == TextCounts(characters=25, bytes=29, words=4, line_breaks=2)
    nats = 30 * math.log(2)  # 30 bits
    found = Figures(nats, 20, counts).as_dict()
    wanted = {
        "tokens": 20,
        "characters": 25,
        "bytes": 29,
        "words": 4,
        "nats_per_token": nats / 20,
        "perplexity": 2**1.5,
        "bits_per_character": 1.2,
        "bits_per_byte": 30 / 29,
        "word_perplexity": 32.0,  # 2 ** (30 bits / (4 words + 2 line breaks))
        "oov_rate": 0.0,
    }
    assert found == {key: pytest.approx(value, rel=1e-12) for key, value in wanted.items()}


def test_tokenizers_share_their_denominators():
    """Twice the tokens for the same nats: only what is per token differs."""
    counts = TextCounts(100, 110, 20, 3)
    one, two = (Figures(77.0, tokens, counts).as_dict() for tokens in (100, 200))
    differing = {key for key in one if one[key] != two[key]}
    assert differing == {"tokens", "nats_per_token", "perplexity"}


def test_a_text_without_words_and_a_hopeless_one_stay_json():
    found = Figures(5000.0, 3, TextCounts(3, 3, 0, 0)).as_dict()
    assert found["perplexity"] is None and found["word_perplexity"] is None
    json.dumps(found, allow_nan=False)
