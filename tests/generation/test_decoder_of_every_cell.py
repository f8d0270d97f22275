"""The decoder without torch gives what the network in torch gives, whatever the architecture."""

import numpy as np
import pytest
import torch

from charlm.config import Config
from charlm.draws import Draws
from charlm.errors import RunError
from charlm.generation.decoder import decoder_of
from charlm.model.language_model import LanguageModel
from charlm.planning import architecture_of
from charlm.training.checkpointing import weights_of

V, E, H = 7, 5, 6
ARCHITECTURES = {
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "gru-cho": {"cell": "gru-cho"},
    "rnn sigmoid": {"cell": "rnn", "nonlinearity": "sigmoid"},
    "rnn tanh": {"cell": "rnn", "nonlinearity": "tanh"},
    "rnn relu": {"cell": "rnn", "nonlinearity": "relu"},
    "feedforward": {"cell": "feedforward", "context": 3, "layers": 1},
    "conv": {"cell": "conv", "context": 2},
    "conv sigmoid, a smaller last layer": {
        "cell": "conv", "nonlinearity": "sigmoid", "last_hidden_size": 4,
    },
    "conv without biases": {"cell": "conv", "bias": False},
    "a window of one token": {"cell": "feedforward", "context": 1, "layers": 1},
    "no biases": {"cell": "gru-cho", "bias": False},
    "a smaller last layer": {"cell": "lstm", "layers": 3, "last_hidden_size": 4},
    "tied to a last layer of the embedding's size": {
        "cell": "lstm", "last_hidden_size": E, "tie_weights": True,
    },
    "n-grams": {"cell": "lstm", "ngram_order": 4, "ngram_rows": 16},
    "n-grams, tied, zoneout": {
        "cell": "gru", "ngram_order": 2, "ngram_rows": 8, "tie_weights": True, "zoneout": 0.3,
    },
    "adaptive softmax": {"cell": "lstm", "softmax": "adaptive", "cutoffs": "2,5"},
    "adaptive softmax of one cluster, a smaller last layer": {
        "cell": "gru", "softmax": "adaptive", "cutoffs": "3", "last_hidden_size": 4,
    },
    "zoneout, LSTM": {"cell": "lstm", "zoneout": 0.3},
    "zoneout, GRU": {"cell": "gru", "zoneout": 0.3},
}  # fmt: skip


class Alphabet:
    vocabulary_size = V


def config_of(zoneout=0.0, **model):
    given = {"layers": 2, "hidden_size": H, "embedding_size": E, "tie_weights": False} | model
    values = {f"model.{name}": value for name, value in given.items()}
    if zoneout:
        values["regularisation.temporal_dropout"] = zoneout * 2
        values["regularisation.dropout"] = 0.5
        values["regularisation.temporal_dropout_kind"] = "zoneout"
    return Config().with_values(values)


def model_of(config):
    model = LanguageModel(architecture_of(config, Alphabet())).initialise("default", Draws(3, 0))
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for p in model.parameters():
            if p.requires_grad:
                p.normal_(0, 0.5, generator=generator)
    if config.cutoffs:
        model.decoder.rank(np.array([3, 1, 4, 1, 5, 9, 2]), np.ones((1, V), np.bool_))
    return model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_decoder_is_the_network(name):
    config = config_of(**ARCHITECTURES[name])
    model = model_of(config)
    decoder = decoder_of(config, weights_of(model))
    ids = torch.tensor([[1, 3, 2], [4, 3, 0], [4, 1, 6], [0, 5, 1]])  # (T, B)
    with torch.no_grad():
        passed = model(ids, model.empty_state(3))
        wanted = model.logits(passed.outputs).numpy()
    state = decoder.empty_state(3)
    for time, row in enumerate(ids.tolist()):
        logits, state = decoder.feed(row, state)
        np.testing.assert_allclose(logits, wanted[time], rtol=0, atol=2e-5)
    for found, layer in zip(state, passed.state, strict=True):
        for part, tensor in zip(found, layer, strict=True):
            np.testing.assert_allclose(part, tensor.numpy(), rtol=0, atol=2e-5)


def test_zoneout_is_really_in_it():
    config, plain = config_of(zoneout=0.3, cell="gru"), config_of(cell="gru")
    model = model_of(plain)
    ids = [1, 4, 2]
    logits = []
    for chosen in (config, plain):
        decoder = decoder_of(chosen, weights_of(model))
        state = decoder.empty_state(1)
        for token in ids:
            state = decoder.advance([token], state)
        logits.append(decoder.logits(state))
    assert np.abs(logits[0] - logits[1]).max() > 1e-2


@pytest.mark.parametrize(("there", "configured"), [(True, False), (False, True)])
def test_biases_must_be_there_just_where_the_configuration_has_them(there, configured):
    weights = weights_of(model_of(config_of(cell="gru", bias=there)))
    with pytest.raises(RunError, match="bias_"):
        decoder_of(config_of(cell="gru", bias=configured), weights)


@pytest.mark.parametrize(
    "wrong",
    [{"layers": 3}, {"hidden_size": 5}, {"last_hidden_size": 3}, {"embedding_size": 4},
     {"tie_weights": True}, {"softmax": "adaptive", "cutoffs": "3"}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_weights_of_another_shape_than_the_configuration_has_are_refused(wrong):
    weights = weights_of(model_of(config_of(cell="gru")))
    with pytest.raises(RunError, match="the configuration has"):
        decoder_of(config_of(cell="gru", **wrong), weights)


def refused_with(config, name, tensor):
    """RunError where that weight is missing (None) or another."""
    weights = weights_of(model_of(config))
    if tensor is None:
        del weights[name]
    else:
        weights[name] = np.asarray(tensor)
    with pytest.raises(RunError):
        decoder_of(config, weights)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("ngrams.weight", None),
        ("ngrams.codes", None),
        ("ngrams.weight", np.float32(1)),
        ("ngrams.weight", np.zeros((12, E), np.float32)),
        ("ngrams.weight", np.zeros((8, E), np.float32)),
    ],
    ids=["no table", "no codes", "no axes", "no power of two", "other rows"],
)
def test_damaged_n_grams_are_refused(name, tensor):
    config = config_of(**ARCHITECTURES["n-grams"])
    refused_with(config, name, tensor)
    with pytest.raises(RunError):
        decoder_of(config_of(cell="lstm"), weights_of(model_of(config)))


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("decoder.ranks", None),
        ("decoder.head.weight", None),
        ("decoder.tail.0.0.weight", np.zeros((2, H), np.float32)),
        ("decoder.tail.1.1.weight", np.zeros((3, 1), np.float32)),
        ("decoder.tail.0.1.weight", np.float32(1)),
        ("decoder.bias", np.zeros(V, np.float32)),
    ],
    ids=["no ranks", "no head", "larger vectors", "more tokens", "no axes", "of a full one"],
)
def test_damaged_clusters_are_refused(name, tensor):
    config = config_of(**ARCHITECTURES["adaptive softmax"])
    refused_with(config, name, tensor)
