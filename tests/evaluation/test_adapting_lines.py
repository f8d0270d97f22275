"""Lines scored by a model that adapts to those before, against the same as documents."""

import numpy as np
import pytest
import torch
from reference.texts import english

from charlm.adaptation import Beside, CacheSettings, DynamicSettings
from charlm.evaluation.adapting import adapting_copies
from charlm.evaluation.dynamic import DynamicEvaluation
from charlm.evaluation.neural_cache import CachedReading, NeuralCache
from charlm.evaluation.scoring import LineScorer
from charlm.text.direction import BACKWARD, FORWARD, reversal
from evaluation.models import Text, model_of, tokenizer_of

LINES = [*english(4, seed=8).splitlines(keepends=True), "聞é\n", "\n", "The old lamp"]
DYNAMIC = DynamicSettings(dynamic_lr=0.01, dynamic_segment=5)
CACHE = CacheSettings(cache_size=60, cache_theta=0.8, cache_weight=0.3)


def scored(model, tokenizer, lines, *, carry_state=False, direction=FORWARD, ways=None):
    beside = Beside(*(ways or (DYNAMIC, CACHE)))
    adapting = adapting_copies(model, tokenizer, beside, None, lambda message: None)
    return list(LineScorer(model, tokenizer, carry_state, direction, adapting).score(lines))


def bits(found, way):
    return np.concatenate([line.beside[way].token_bits for line in found])


def dynamic_bits(model, tokenizer, text, settings=DYNAMIC):
    with DynamicEvaluation(model, tokenizer, settings) as evaluation:
        return np.concatenate(list(evaluation.read(text.ids, text.documents))) / np.log(2)


def test_a_line_is_a_document_to_a_model_that_learns():
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    found = bits(scored(model, tokenizer, LINES), "dynamic")
    wanted = dynamic_bits(model, tokenizer, Text(tokenizer, LINES))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_with_the_state_carried_all_lines_are_one_document():
    """Lines of whole segments: what is learned is then the same too."""
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    lines = [" " * (-len(tokenizer.encode(line)) % 5) + line for line in LINES]
    assert all(len(tokenizer.encode(line)) % 5 == 0 for line in lines)
    found = scored(model, tokenizer, lines, carry_state=True)
    text = Text(tokenizer, ["".join(lines)])
    np.testing.assert_allclose(
        bits(found, "dynamic"), dynamic_bits(model, tokenizer, text), rtol=1e-9
    )
    cached = CachedReading(model, tokenizer, CACHE).read(text.ids, text.documents)
    wanted = np.concatenate(list(cached)) / np.log(2)
    np.testing.assert_allclose(bits(found, "cache"), wanted, rtol=1e-9)


def test_the_cache_goes_from_line_to_line_and_the_state_does_not():
    """By one cache that is shown what the model puts out for each line from the empty state."""
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    one, wanted = NeuralCache(tokenizer.grammar, CACHE), []
    for line in LINES:
        ids = tokenizer.encode(line).astype(np.int64)
        inputs = torch.tensor([tokenizer.boundary_id, *ids[:-1]])[:, None]
        with torch.no_grad():
            outputs = model(inputs, model.empty_state(1)).outputs[:, 0]
        states = tokenizer.grammar.run(np.zeros(1, np.uint8), ids[:, None])[0][:, 0]
        (static,) = LineScorer(model, tokenizer, False).score([line])
        wanted.append(one.mixed(outputs, ids, states, static.token_bits * np.log(2)))
    found = bits(scored(model, tokenizer, LINES), "cache")
    np.testing.assert_allclose(found, np.concatenate(wanted) / np.log(2), rtol=1e-9)


def test_static_bits_and_the_model_are_what_they_were():
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    before = [p.detach().clone() for p in model.parameters()]
    found = scored(model, tokenizer, LINES)
    for line, plain in zip(found, LineScorer(model, tokenizer, False).score(LINES), strict=True):
        np.testing.assert_array_equal(line.token_bits, plain.token_bits)
        assert not plain.beside
    assert all(map(torch.equal, model.parameters(), before))


@pytest.mark.parametrize("way", ["dynamic", "cache"])
def test_a_line_that_came_before_is_cheaper_now(way):
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    *_, last = scored(model, tokenizer, [LINES[0], *LINES[:3] * 4])
    assert last.beside[way].bits < last.bits
    first, again = (
        next(line for line in scored(model, tokenizer, lines) if line.text == LINES[0])
        for lines in (LINES, LINES[::-1])
    )
    assert first.bits == pytest.approx(again.bits)
    assert abs(first.beside[way].bits - again.beside[way].bits) > 1e-3  # the order matters


@pytest.mark.parametrize("way", ["dynamic", "cache"])
def test_a_backward_model_reads_each_line_from_its_end(way):
    tokenizer = tokenizer_of()
    model = model_of(tokenizer)
    backward = scored(model, tokenizer, LINES, direction=BACKWARD)
    turned = []
    for line in LINES:
        ids = tokenizer.encode(line)
        turned.append(tokenizer.decode(ids[reversal(ids, tokenizer.grammar)]))
    forward = scored(model, tokenizer, turned)
    for found, other in zip(backward, forward, strict=True):
        order = reversal(found.ids, tokenizer.grammar)
        np.testing.assert_allclose(
            found.beside[way].token_bits[order], other.beside[way].token_bits, rtol=1e-9
        )
