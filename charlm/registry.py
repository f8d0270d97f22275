"""Everything pluggable, by name: `name -> "module:attribute"`.

Importing this file imports nothing heavy; `resolve` imports the one module asked
for. To add a cell, a tokenizer, a dropout, an optimiser, a schedule or a logit
filter, write its file or function and add its line here.
"""

from importlib import import_module
from typing import Any

# Folders under corpora/; the first is what `train` reads without a text.
CORPORA = ("clinical_notes", "memory")

TOKENIZERS = {
    "byte": "charlm.text.tokenizers.byte:ByteTokenizer",
    "char": "charlm.text.tokenizers.char:CharTokenizer",
    "word": "charlm.text.tokenizers.word:WordTokenizer",
    "unigram": "charlm.text.tokenizers.subword:UnigramTokenizer",
    "bpe": "charlm.text.tokenizers.subword:BpeTokenizer",
}

# The settings of [tokenizer] that each kind can use; `lowercase` is for all.
TOKENIZER_SETTINGS: dict[str, tuple[str, ...]] = {
    "byte": (),
    "char": ("min_count",),
    "word": ("vocab_size", "min_count", "word_split", "word_oov"),
    "unigram": ("vocab_size",),
    "bpe": ("vocab_size",),
}

CELLS = {
    "lstm": "charlm.model.cells.lstm:LSTM",
    "gru": "charlm.model.cells.gru:GRU",
    "gru-cho": "charlm.model.cells.gru_cho:ChoGRU",
    "rnn": "charlm.model.cells.rnn:RNN",
    "feedforward": "charlm.model.cells.window:Feedforward",
    "conv": "charlm.model.cells.window:Convolution",
}

FUSED_KERNELS = {
    "lstm": "charlm.model.kernels.lstm:LSTMSteps",
    "gru": "charlm.model.kernels.gru:GRUSteps",
    "gru-cho": "charlm.model.kernels.gru_cho:ChoGRUSteps",
    "rnn": "charlm.model.kernels.rnn:RNNSteps",
    "feedforward": "charlm.model.kernels.window:WindowSteps",
    "conv": "charlm.model.kernels.window:WindowSteps",
}

TEMPORAL_DROPOUTS = {
    "variational": "charlm.model.dropout:variational",
    "weight-drop": "charlm.model.dropout:weight_drop",
    "zoneout": "charlm.model.dropout:zoneout",
}

# The layer onto the vocabulary.
SOFTMAXES = {
    "full": "charlm.model.softmax:FullSoftmax",
    "adaptive": "charlm.model.adaptive_softmax:AdaptiveSoftmax",
}

# What a classifier makes of a text's outputs, in as many parts as are named.
POOLINGS = {
    "last": "charlm.model.pooling:last",
    "mean": "charlm.model.pooling:mean",
    "max": "charlm.model.pooling:largest",
    "concat": "charlm.model.pooling:concat",
}

INITIALISATIONS = {
    "default": "charlm.model.initialisation:default",
    "orthogonal": "charlm.model.initialisation:orthogonal",
    "identity": "charlm.model.initialisation:identity",
    "uniform": "charlm.model.initialisation:uniform",
}

OPTIMIZERS = {
    "sgd": "charlm.training.optimizers:sgd",
    "nt-asgd": "charlm.training.optimizers:sgd",
    "rmsprop": "charlm.training.optimizers:rmsprop",
    "adam": "charlm.training.optimizers:adam",
    "adamw": "charlm.training.optimizers:adamw",
    "muon": "charlm.training.optimizers:muon",
}

SCHEDULES = {
    "constant": "charlm.training.schedules:constant",
    "cosine": "charlm.training.schedules:cosine",
    "one-cycle": "charlm.training.schedules:one_cycle",
    "stlr": "charlm.training.schedules:stlr",
    "plateau": "charlm.training.schedules:plateau",
}

# In the order in which they are applied, which generation/filters.py gives reasons for.
LOGIT_FILTERS = {
    "repetition_penalty": "charlm.generation.filters:repetition_penalty",
    "temperature": "charlm.generation.filters:temperature",
    "top_k": "charlm.generation.filters:top_k",
    "top_p": "charlm.generation.filters:top_p",
    "min_p": "charlm.generation.filters:min_p",
    "typical_p": "charlm.generation.filters:typical_p",
}

# What in a text `charlm look --follow` finds a unit for.
DETECTORS = {
    "quotes": "charlm.evaluation.detectors:quotes",
    "brackets": "charlm.evaluation.detectors:brackets",
    "line-position": "charlm.evaluation.detectors:line_position",
    "word-position": "charlm.evaluation.detectors:word_position",
    "capitals": "charlm.evaluation.detectors:capitals",
    "digits": "charlm.evaluation.detectors:digits",
}

# For `charlm gradients`: a way to carry a gradient each.
FRESH_NETWORKS = {
    "sigmoid": "charlm.evaluation.fresh_networks:SIGMOID",
    "tanh": "charlm.evaluation.fresh_networks:TANH",
    "relu": "charlm.evaluation.fresh_networks:RELU",
    "identity-relu": "charlm.evaluation.fresh_networks:IDENTITY_RELU",
    "exploding-relu": "charlm.evaluation.fresh_networks:EXPLODING_RELU",
    "lstm": "charlm.evaluation.fresh_networks:LSTM",
    "gru": "charlm.evaluation.fresh_networks:GRU",
    "gru-cho": "charlm.evaluation.fresh_networks:CHO_GRU",
}

DYNAMIC_RULES = {
    "rms": "charlm.evaluation.dynamic_rules:Rms",
    "sgd": "charlm.evaluation.dynamic_rules:Sgd",
}


def resolve(table: dict[str, str], name: str) -> Any:
    """The object that `table` holds under `name`; KeyError if there is none."""
    module, attribute = table[name].split(":")
    return getattr(import_module(module), attribute)
