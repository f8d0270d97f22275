"""Small models with random weights, and texts for them."""

import numpy as np
import torch
from reference.texts import english

from charlm.draws import Draws
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.counts import count_text
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

TRAINING_TEXT = english(20) + "é ß\n"


def tokenizer_of(kind="char"):
    return fit_tokenizer(TokenizerSettings(kind=kind), [TRAINING_TEXT])


def model_of(tokenizer, memory=0.0, layers=2, tie=True, dtype=torch.float64):
    """Weights large enough that every token matters; `memory` is added to the forget bias."""
    a = Architecture(tokenizer.vocabulary_size, "lstm", layers, 6, 5, tie)
    model = LanguageModel(a).initialise("orthogonal", Draws(1, 0)).to(dtype)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.4)
        for layer in model.layers:
            layer.bias_ih[6:12] += memory
    return model


class Text:
    """Documents as ids, with what they have of characters."""

    def __init__(self, tokenizer, documents):
        parts = [tokenizer.encode(document) for document in documents]
        self.strings = documents
        self.ids = np.concatenate(parts)
        self.documents = np.cumsum([0, *map(len, parts[:-1])]).astype(np.int64)
        self.counts = count_text(documents)
