"""`--word-oov unk`: what is lost is counted, and no figure pretends that it was paid for."""

import json

import numpy as np
import pytest

from charlm.evaluation import validation
from charlm.evaluation.figures import Figures
from charlm.evaluation.measure import measure, measure_windows
from charlm.evaluation.scoring import LineScorer
from charlm.evaluation.validation import RunMeasurement
from charlm.text.counts import TextCounts, count_text
from charlm.text.token_cache import prepare
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from evaluation.models import Text, model_of

TOKENIZER = fit_tokenizer(
    TokenizerSettings(kind="word", word_oov="unk", word_split="whitespace", min_count=1),
    ["The old lamp\n"],
)
UNKNOWN = " The  聞聞 lamp zzz \n\nold\n"  # two of its four words


def test_figures_with_unknown_words_by_hand():
    counts = TextCounts(characters=24, bytes=28, words=4, line_breaks=3)
    found = Figures(7 * np.log(4), 7, counts, unknown=1).as_dict()
    assert found["bits_per_character"] is None and found["bits_per_byte"] is None
    assert found["oov_rate"] == 0.25
    assert found["word_perplexity"] == pytest.approx(4.0)
    assert found["characters"] == 24 and found["bytes"] == 28


@pytest.mark.parametrize(("text", "unknown"), [(UNKNOWN, 2), (" The  old lamp \n", 0), ("聞", 1)])
def test_a_text_is_measured_with_its_own_counts(text, unknown):
    model = model_of(TOKENIZER)
    t = Text(TOKENIZER, [text])
    found = measure(model, TOKENIZER, t.ids, t.documents, t.counts)
    figures = found.as_dict()
    assert found.tokens == len(text.split()) + text.count("\n")
    assert found.unknown == unknown
    assert figures["oov_rate"] == unknown / len(text.split())
    assert figures["characters"] == len(text)
    bits = found.nats / np.log(2)
    if unknown:
        assert found.bits_per_character is figures["bits_per_byte"] is None
    else:
        assert found.bits_per_character == pytest.approx(bits / len(text))
        assert figures["bits_per_byte"] == pytest.approx(bits / len(text.encode()))
    words = len(text.split()) + text.count("\n")
    assert figures["word_perplexity"] == pytest.approx(np.exp(found.nats / words))


def test_random_windows_know_no_characters():
    """What their tokens stand for is not in them."""
    model = model_of(TOKENIZER)
    t = Text(TOKENIZER, [" The  old lamp \n" * 9])
    about = (model, TOKENIZER, t.ids, t.documents, t.counts)
    figures = measure_windows(*about, 4, 5, 1).as_dict()
    assert figures["characters"] is figures["bytes"] is None
    assert figures["bits_per_character"] is figures["bits_per_byte"] is None
    assert figures["tokens"] == 20 and figures["words"] == 15
    json.dumps(figures, allow_nan=False)
    assert measure_windows(*about, 4, None, 1).as_dict()["characters"] == len(t.strings[0])


def test_while_training_a_cut_text_has_no_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(validation, "VALID_TOKENS", 10)
    (tmp_path / "train.txt").write_text("The old lamp\n" * 20)
    (tmp_path / "valid.txt").write_text(" The  old lamp \n" * 5)
    settings = TokenizerSettings(kind="word", word_oov="unk", word_split="whitespace")
    cache, tokenizer = prepare(
        [tmp_path / "train.txt"],
        folder=tmp_path / "c",
        fit_or_tokenizer=settings,
        valid=[tmp_path / "valid.txt"],
    )
    run = RunMeasurement(model_of(tokenizer), tokenizer, cache, lambda: None, lambda _: None)
    cut = run.valid()
    assert cut.bits_per_character is None and cut.nats > 0
    whole = run.final(unchanged=True)["valid"]
    assert whole.counts == count_text([" The  old lamp \n" * 5])
    assert whole.bits_per_character == pytest.approx(whole.nats / np.log(2) / 80)


@pytest.mark.parametrize("carry", [False, True])
def test_lines_are_scored_with_what_is_lost(carry):
    scorer = LineScorer(model_of(TOKENIZER), TOKENIZER, carry)
    lines = ["  \n", UNKNOWN[:19], "The lamp\n", " \t "]
    found = list(scorer.score(lines)) + list(scorer.score([" "]))
    assert [len(line.ids) for line in found] == [1, 5, 3, 0, 0]
    assert [line.unknown for line in found] == [0, 2, 0, 0, 0]
    assert found[1].bits_per_character is None
    assert found[2].bits_per_character == pytest.approx(found[2].bits / 9)
    assert found[3].bits == found[4].bits == 0
