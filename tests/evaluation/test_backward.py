"""A model that reads from the end: the same figures as a forward one on the reversed text."""

import json
from itertools import pairwise

import numpy as np
import pytest

import charlm
from charlm.errors import RunError, UsageError
from charlm.evaluation import validation
from charlm.evaluation.measure import measure_windows
from charlm.evaluation.scoring import LineScorer
from charlm.evaluation.validation import RunMeasurement
from charlm.text.counts import count_text
from charlm.text.direction import reversed_units
from charlm.text.token_cache import prepare
from charlm.text.tokenizers.base import TokenizerSettings
from evaluation.models import Text, model_of, tokenizer_of

SMALL = {
    "steps": 6, "hidden_size": 8, "embedding_size": 4, "batch_size": 2, "bptt": 8,
    "precision": "fp32", "threads": 1, "report_every": 1, "eval_every": 3,
}  # fmt: skip


def train_on(folder, name, texts, valid, **more):
    place = folder / name
    place.mkdir()
    for number, text in enumerate(texts):
        (place / f"{number}.txt").write_text(text)
    (folder / f"{name}.valid").write_text(valid)
    charlm.train([place], folder / f"{name}.run", valid=str(folder / f"{name}.valid"),
                 **SMALL | more)  # fmt: skip
    return folder / f"{name}.run"


def records(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if "second" not in key}
        for line in lines
    ]


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory, words):
    """A backward run, and a forward one whose documents are those of the first, reversed."""
    folder = tmp_path_factory.mktemp("mirrored")
    texts = [words(seed, 8).replace("é", "e") for seed in (1, 2)]
    valid = words(3, 6).replace("é", "e")
    back = train_on(folder, "back", texts, valid, direction="backward")
    ahead = train_on(folder, "ahead", [text[::-1] for text in texts], valid[::-1])
    return back, ahead


def test_training_is_the_same_to_the_bit(mirrored):
    """Losses, gradients and weights of all steps."""
    back, ahead = mirrored
    assert records(back) == records(ahead)
    a, b = (charlm.load(run).stored.weights for run in mirrored)
    for name, array in a.items():
        assert array.tobytes() == b[name].tobytes()


def test_a_text_costs_what_the_reversed_one_costs(mirrored, tmp_path):
    back, ahead = map(charlm.load, mirrored)
    text = "she came to ward four.\nthe end"
    (tmp_path / "t").write_text(text)
    (tmp_path / "r").write_text(text[::-1])
    for options in (
        {},
        {"window": 5},
        {"window": 5, "windows": 3},
        {"dynamic": True, "cache": True},
    ):
        figures = back.evaluate([tmp_path / "t"], **options)
        assert figures == ahead.evaluate([tmp_path / "r"], **options)
    assert back.evaluate() == ahead.evaluate()


def test_a_line_is_read_from_its_end_and_told_in_reading_order(mirrored):
    back, ahead = map(charlm.load, mirrored)
    lines = ["she came to ward four.\n", "\n", "a", "the end"]
    for found, other in zip(
        back.score(lines), ahead.score([line[::-1] for line in lines]), strict=True
    ):
        assert found.text == other.text[::-1]
        assert np.array_equal(found.ids, other.ids[::-1])
        assert np.array_equal(found.ids, back.tokenizer.encode(found.text))
        np.testing.assert_array_equal(found.token_bits, other.token_bits[::-1])


def test_a_stream_cannot_be_read_from_its_end(mirrored):
    with pytest.raises(UsageError, match="reads a text from its end"):
        list(charlm.load(mirrored[0]).score(["a\n"], carry_state=True))


def test_resuming_the_other_way_is_refused(mirrored):
    for run, other, own in zip(
        mirrored, ("forward", "backward"), ("backward", "forward"), strict=True
    ):
        with pytest.raises(UsageError, match=f"--direction is {other}, and the run has {own}"):
            charlm.train((), run, resume=True, direction=other, steps=9)


def test_a_configuration_changed_by_hand_does_not_fit_its_tokens(mirrored, tmp_path):
    import shutil

    shutil.copytree(mirrored[0], tmp_path / "run", symlinks=True)
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace('"backward"', '"forward"'))
    with pytest.raises(RunError, match="run backward, and the run's model reads forward"):
        charlm.train((), tmp_path / "run", resume=True, steps=9)


def test_an_exported_model_knows_its_direction(mirrored, tmp_path):
    charlm.api.export(mirrored[0], tmp_path / "model")
    (tmp_path / "t").write_text("she came to ward four.\n")
    exported = charlm.load(tmp_path / "model")
    assert exported.evaluate([tmp_path / "t"]) == charlm.load(mirrored[0]).evaluate(
        [tmp_path / "t"]
    )


@pytest.mark.parametrize("kind", ["char", "byte"])
def test_spelled_characters_cost_what_their_symbols_cost_from_the_end(kind):
    tokenizer = tokenizer_of(kind)
    model = model_of(tokenizer)
    line = "The 聞 lamp é𐍈\n"
    (found,) = LineScorer(model, tokenizer, False, "backward").score([line])
    (other,) = LineScorer(model, tokenizer, False).score([line[::-1]])
    assert np.array_equal(found.ids, tokenizer.encode(line))
    assert found.bits == pytest.approx(other.bits, rel=1e-12)
    grammar = tokenizer.grammar
    by_token = dict(zip(reversed_units(other.ids, grammar).tolist(), range(99), strict=False))
    assert len(by_token) > 10
    np.testing.assert_allclose(
        found.token_bits, reversed_units_of(other.token_bits, other.ids, grammar), rtol=1e-9
    )


def reversed_units_of(values, ids, grammar):
    """`values` (N,) of the tokens ids (N,), unit by unit from the end, by a loop."""
    found, unit, state = [], [], 0
    for value, token in zip(values, ids.tolist(), strict=True):
        unit.append(value)
        state = grammar.next_state[state, token]
        if state == 0:
            found = unit + found
            unit = []
    return np.array(found)


def test_random_windows_count_the_text_as_it_is_read_by_people():
    """A spelled character cut in two aside, words and bytes are those of the text itself."""
    tokenizer = tokenizer_of()
    text = Text(tokenizer, ["ab 聞聞 cd\n" * 20])
    ids = reversed_units(text.ids, tokenizer.grammar)
    about = (model_of(tokenizer), tokenizer, ids, text.documents, text.counts)
    whole = measure_windows(*about, len(ids), 1, 1, "backward")
    assert whole.counts == text.counts


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_long_validation_text_is_cut_and_counted_by_its_documents(
    tmp_path, monkeypatch, direction
):
    """While training; the first tokens that the model reads, words of two documents apart."""
    monkeypatch.setattr(validation, "VALID_TOKENS", 30)
    (tmp_path / "t").write_text("some words to train on\n" * 3)
    for name, text in (("a", "one two three four"), ("b", "five six seven eight nine")):
        (tmp_path / f"v{name}.txt").write_text(text)
    cache, tokenizer = prepare(
        [tmp_path / "t"],
        folder=tmp_path / "c",
        fit_or_tokenizer=TokenizerSettings(kind="byte"),
        valid=[tmp_path / "va.txt", tmp_path / "vb.txt"],
        direction=direction,
    )
    said = []
    measurement = RunMeasurement(model_of(tokenizer), tokenizer, cache, lambda: None, said.append)
    found = measurement.measure("valid", 30)
    second = {"forward": "five six sev", "backward": "n eight nine"}[direction]
    assert found.counts == count_text(["one two three four", second])
    assert said == ["While training, 30 tokens of the valid text are measured."]
    borders = [*cache.parts["valid"].documents.tolist(), len(cache.parts["valid"].ids)]
    assert [b - a for a, b in pairwise(borders)] == [18, 25]
