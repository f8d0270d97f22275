"""Small models for the tests: random weights for the decoder, and one that follows a script."""

import copy

import numpy as np

from charlm.generation.decoder import Decoder
from charlm.model.cells.lstm import LSTM
from charlm.text.tokenizers.base import Grammar


def lstm_weights(vocabulary, embedding, hidden, layers, tied, dtype=np.float32, seed=0):
    """Random weights under the names of a stored model."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(0, 0.5, shape).astype(dtype)

    weights = {"embedding.weight": normal(vocabulary, embedding)}
    for layer in range(layers):
        weights |= {
            f"layers.{layer}.weight_ih": normal(4 * hidden, hidden if layer else embedding),
            f"layers.{layer}.weight_hh": normal(4 * hidden, hidden),
            f"layers.{layer}.bias_ih": normal(4 * hidden),
            f"layers.{layer}.bias_hh": normal(4 * hidden),
        }
    if not tied:
        weights["decoder.weight"] = normal(vocabulary, hidden)
    elif embedding != hidden:
        weights["projection.weight"] = normal(embedding, hidden)
    return weights | {"decoder.bias": normal(vocabulary)}


def small_decoder(vocabulary, seed=0):
    return Decoder(LSTM(), lstm_weights(vocabulary, 5, 6, 2, tied=True, seed=seed))


class Scripted:
    """Wants the ids of `script` one after the other, once `context` ids have been read."""

    together = 1

    def __init__(self, vocabulary, script, context=1):
        self.vocabulary, self.script, self.context = vocabulary, list(script), context
        self.read = []

    def empty_state(self, streams):
        assert streams == 1
        return ()

    def advance(self, ids, state):
        (token,) = ids
        self.read.append(token)
        return (*state, token)

    def logits(self, state):
        wanted = len(state) - self.context
        logits = np.zeros((1, self.vocabulary), np.float32)
        if wanted < len(self.script):
            logits[0, self.script[wanted]] = 60
        return logits


class Letters:
    """Tokens a b c and the line break; * spells: after it come x and y, and ! ends what they are.

    A spelled xxy is the text <xxy>. As at word level, a token's text may hang on the one before
    it: between two letters of a line stands a space, which comes with the second. `texts` may
    be fewer: "\\nabc" spells nothing.
    """

    boundary_id = 0

    def __init__(self, texts="\nabc*xy!"):
        self.texts, self.vocabulary_size = texts, len(texts)
        inside = np.array([character in "xy!" for character in texts])
        states = 1 + inside.any()
        after = np.zeros((states, len(texts)), np.uint8)
        for token, character in enumerate(texts):
            after[0 if character == "*" else 1 :, token] = character in "*xy"
        legal = np.array([~inside, inside])[:states]
        self.grammar = Grammar(after, legal, np.zeros(states), legal / legal.sum(1, keepdims=True))

    def encode(self, text):
        """The ids of letters, without the spaces."""
        for shown, token in (("<", "*"), (">", "!"), (" ", "")):
            text = text.replace(shown, token)
        return np.array([self.texts.index(character) for character in text], np.intp)

    def decode(self, ids):
        stream = self.stream()
        return "".join(stream.feed(int(token)) for token in ids) + stream.finish()

    encode_prompt = encode

    def openings(self, prompt):
        return None

    def stream(self, after=""):
        return LettersStream(self, in_line=after[-1:] not in ("", "\n"))


class LettersStream:
    def __init__(self, tokenizer, in_line):
        self.texts, self.in_line, self.spelled = tokenizer.texts, in_line, None

    def feed(self, token):
        text = self.texts[token]
        if text == "*":
            self.spelled = ""
            return ""
        if self.spelled is not None and text != "!":
            self.spelled += text
            return ""
        if text == "!":
            text, self.spelled = f"<{self.spelled}>", None
        space = " " if self.in_line and text != "\n" else ""
        self.in_line = text != "\n"
        return space + text

    def finish(self):
        return ""

    def fork(self):
        return copy.copy(self)
