"""Everything pluggable, by name: `name -> "module:attribute"`.

Importing this file imports nothing heavy; `resolve` imports the one module asked
for. To add a cell, a tokenizer, a dropout, an optimiser, a schedule or a logit
filter, write its file or function and add its line here.
"""

from importlib import import_module
from typing import Any

TOKENIZERS = {
    "byte": "charlm.text.tokenizers.byte:ByteTokenizer",
    "char": "charlm.text.tokenizers.char:CharTokenizer",
}

CELLS = {
    "lstm": "charlm.model.cells.lstm:LSTM",
}

FUSED_KERNELS = {
    "lstm": "charlm.model.kernels.lstm:run",
}

TEMPORAL_DROPOUTS = {
    "variational": "charlm.model.dropout:variational",
    "weight-drop": "charlm.model.dropout:weight_drop",
}

INITIALISATIONS = {
    "default": "charlm.model.initialisation:default",
    "orthogonal": "charlm.model.initialisation:orthogonal",
}

OPTIMIZERS = {
    "adamw": "charlm.training.optimizers:adamw",
}

SCHEDULES = {
    "constant": "charlm.training.schedules:constant",
    "cosine": "charlm.training.schedules:cosine",
}

LOGIT_FILTERS = {
    "temperature": "charlm.generation.filters:temperature",
    "top_k": "charlm.generation.filters:top_k",
    "top_p": "charlm.generation.filters:top_p",
}


def resolve(table: dict[str, str], name: str) -> Any:
    """The object that `table` holds under `name`; KeyError if there is none."""
    module, attribute = table[name].split(":")
    return getattr(import_module(module), attribute)
