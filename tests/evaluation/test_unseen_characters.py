"""What a trained English model charges for a character it never saw (INTERFACE: 24 to 60 bits)."""

import numpy as np
import pytest
from reference.texts import english

import charlm

# Rare letters, each once: at character level they are spelled, in training too.
TEXT = english(400) + "The café, the naïve façade, the jalapeño, the Übung and 5 €.\n" + english(40)


@pytest.fixture(scope="module", params=["char", "byte"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("english")
    (folder / "english.txt").write_text(TEXT, encoding="utf-8")
    charlm.train(
        [folder / "english.txt"],
        folder / "run",
        tokenizer=request.param,
        steps=250,
        hidden_size=48,
        embedding_size=24,
        batch_size=16,
        bptt=24,
        lr=0.02,
        precision="fp32",
        threads=1,
    )
    return charlm.load(folder / "run")


def test_english_was_learned(model, tmp_path):
    (tmp_path / "t.txt").write_text(english(30, seed=9))
    assert model.evaluate([tmp_path / "t.txt"])["bits_per_character"] < 2


@pytest.mark.parametrize("character", "聞中文字龍一𠮷𐍈あЖ")
@pytest.mark.parametrize(
    "before", ["The river left the lamp.\n", "The keeper ", "The captain watched the "]
)
def test_an_unseen_character_costs_24_to_60_bits(model, character, before):
    (line,) = model.score([before + character])
    size = len(character.encode())
    tokens = size + (1 if model.config.tokenizer.tokenizer == "char" else 0)
    bits = line.token_bits[-tokens:].sum()
    assert np.isfinite(line.token_bits).all()
    # Two bytes are the least that can be unseen, and four the most: the contract speaks of three.
    low, high = {2: (14, 60), 3: (24, 60), 4: (24, 75)}[size]
    assert low < bits < high


def test_a_whole_text_of_unseen_characters_has_finite_bits(model, tmp_path):
    (tmp_path / "t.txt").write_text("春眠不覺曉\n處處聞啼鳥\n", encoding="utf-8")
    figures = model.evaluate([tmp_path / "t.txt"])
    assert figures["characters"] == 12 and figures["bytes"] == 32
    assert 15 < figures["bits_per_character"] < 60
