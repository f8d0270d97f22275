"""Writing words and pieces: the space at a prompt's end, and what is never drawn."""

import numpy as np
import pytest

from charlm.generation.decoder import Decoder
from charlm.generation.generate import generate, generate_many
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.model.cells.lstm import LSTM
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

from .models import Scripted, lstm_weights, small_decoder

TEXT = "the cat sat on the mat, the cat sat\n" * 9
GREEDY = SamplingSettings(greedy=True)


def tokenizer_of(kind, **given):
    return fit_tokenizer(TokenizerSettings(kind=kind, **given), [TEXT])


def text_of(pieces):
    return next(piece.sample.text for piece in pieces if piece.sample)


@pytest.mark.parametrize("kind", ["word", "unigram", "bpe"])
def test_a_prompt_goes_on_as_well_with_a_space_at_its_end(kind):
    """The tokens are the same; the space is written once, by whoever has not written it."""
    tokenizer = tokenizer_of(kind)
    settings = GenerationSettings(sampling=GREEDY, length=2)
    before = tokenizer.encode("on the").tolist()
    following = tokenizer.encode(" cat sat" if kind != "word" else "cat sat").tolist()[:2]
    found = []
    for prompt in ("on the", "on the "):
        model = Scripted(tokenizer.vocabulary_size, following, 1 + len(before))
        found.append(prompt + text_of(generate(model, tokenizer, prompt, settings)))
    assert found[0] == found[1]
    assert found[0].startswith("on the ")


@pytest.mark.parametrize("sampling", [SamplingSettings(), SamplingSettings(beam=30)])
def test_what_comes_after_a_space_begins_with_it(sampling):
    """Of random weights, where anything else would stick to the prompt's last word."""
    tokenizer = tokenizer_of("unigram")
    decoder = small_decoder(tokenizer.vocabulary_size)
    settings = GenerationSettings(sampling=sampling, length=1, num_samples=30)
    samples = [p.sample for p in generate_many(decoder, tokenizer, ["the", "the "], settings)]
    samples = [sample for sample in samples if sample is not None]
    openings = tokenizer.openings("the ")
    allowed = {tokenizer.decode([token])[1:] for token in np.flatnonzero(openings)}
    assert {sample.text for sample in samples[30:]} <= allowed
    assert not all(sample.text.startswith(" ") for sample in samples[:30])


@pytest.mark.parametrize("sampling", [GREEDY, SamplingSettings(), SamplingSettings(beam=2)])
def test_the_unknown_word_is_never_written(sampling):
    """Though the model expects nothing else."""
    tokenizer = tokenizer_of("word", word_oov="unk")
    settings = GenerationSettings(sampling=sampling, length=9)
    weights = lstm_weights(tokenizer.vocabulary_size, 5, 6, 2, tied=True)
    weights["decoder.bias"][tokenizer.unknown_id] = 60
    text = text_of(generate(Decoder(LSTM(), weights), tokenizer, "dog", settings))
    assert text and "<unk>" not in text
