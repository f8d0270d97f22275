"""Lines scored side by side, against each line by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.language_model_numpy import float64_weights, token_nats
from reference.texts import english

from charlm.evaluation import scoring
from charlm.evaluation import token_nats as module
from charlm.evaluation.measure import measure
from charlm.evaluation.scoring import LineScorer
from charlm.registry import TOKENIZERS
from evaluation.models import Text, model_of, tokenizer_of

LINES = ["\n", "The old 聞 lamp\n", "x\n", english(1, seed=7), "éééé\n", "\n", "no line break"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """So that lines are longer than a chunk, and lines of a batch more than the streams."""
    monkeypatch.setattr(module, "STREAMS", 3)
    monkeypatch.setattr(module, "CHUNK", 8)


def alone(model, tokenizer, line):
    """Bits of each token of a line from the empty state."""
    ids = tokenizer.encode(line)
    weights = float64_weights(model)
    return token_nats(weights, tokenizer.grammar, ids, tokenizer.boundary_id) / np.log(2)


@pytest.mark.parametrize("kind", list(TOKENIZERS))
def test_each_line_costs_what_it_costs_alone(kind):
    tokenizer = tokenizer_of(kind)
    model = model_of(tokenizer)
    found = list(LineScorer(model, tokenizer, carry_state=False).score(LINES))
    assert [line.text for line in found] == LINES
    for line in found:
        assert np.array_equal(line.ids, tokenizer.encode(line.text))
        bits = alone(model, tokenizer, line.text)
        np.testing.assert_allclose(line.token_bits, bits, rtol=1e-9)
        assert line.bits == pytest.approx(bits.sum())
        assert line.bits_per_character == pytest.approx(bits.sum() / len(line.text))


@settings(deadline=None, max_examples=20)
@given(st.permutations(LINES), st.lists(st.integers(1, 3), min_size=7, max_size=7))
def test_neither_order_nor_batches_change_a_line(lines, sizes):
    tokenizer = tokenizer_of()
    model = model_of(tokenizer, layers=1)
    scorer = LineScorer(model, tokenizer, carry_state=False)
    wanted = {line.text: line.bits for line in scorer.score(LINES)}
    rest = list(lines)
    for size in sizes:
        batch, rest = rest[:size], rest[size:]
        if batch:
            for line in scorer.score(batch):
                assert line.bits == pytest.approx(wanted[line.text], rel=1e-9)


@pytest.mark.parametrize("memory", [-4.0, 0.0, 5.0], ids=["forgetful", "usual", "long memory"])
@pytest.mark.parametrize("sizes", [[40], [1] * 40, [7, 1, 25, 7]])
def test_carried_lines_add_up_to_the_measure_of_the_whole(monkeypatch, sizes, memory):
    """1e-5 relative (INTERFACE), and no token is far off, at the seams of batches least of all."""
    monkeypatch.setattr(scoring, "LONGEST_PIECE", 32)  # a batch of lines is many pieces
    tokenizer = tokenizer_of()
    model = model_of(tokenizer, memory)
    lines = [*english(38, seed=8).splitlines(keepends=True), "聞é\n", "last"]
    scorer = LineScorer(model, tokenizer, carry_state=True)
    found, rest = [], lines
    for size in sizes:
        batch, rest = rest[:size], rest[size:]
        found += scorer.score(batch)
    text = Text(tokenizer, ["".join(lines)])
    whole = measure(model, tokenizer, text.ids, text.documents, text.counts)
    assert sum(line.bits for line in found) * np.log(2) == pytest.approx(whole.nats, rel=1e-5)
    one_stream = alone(model, tokenizer, "".join(lines))
    # States that have met differ by up to 1e-2 in what is left.
    np.testing.assert_allclose(
        np.concatenate([line.token_bits for line in found]), one_stream, atol=0.05
    )
