"""The settings of the network: ids -> logits."""

from dataclasses import dataclass
from typing import Annotated

from charlm import registry
from charlm.settings import AUTO, Setting


@dataclass(frozen=True)
class Model:
    """ids -> logits."""

    cell: Annotated[str, Setting("the recurrence", choices=tuple(registry.CELLS))] = "lstm"
    layers: Annotated[int, Setting("stacked layers", least=1, most=64, auto=True)] = AUTO
    hidden_size: Annotated[int, Setting("hidden units a layer", least=1, most=65536, auto=True)] = (
        AUTO
    )
    embedding_size: Annotated[
        int, Setting("size of a token's vector", least=1, most=65536, auto=True)
    ] = AUTO
    last_hidden_size: Annotated[
        int, Setting("hidden units of the last layer", least=1, most=65536, auto=True)
    ] = AUTO
    tie_weights: Annotated[bool, Setting("decode with the embedding's own weights", auto=True)] = (
        AUTO
    )
    softmax: Annotated[
        str,
        Setting(
            "over all tokens at once, or rare ones in clusters (adaptive), for large vocabularies",
            choices=tuple(registry.SOFTMAXES),
        ),
    ] = "full"
    cutoffs: Annotated[
        str,
        Setting(
            "of --softmax adaptive: with which tokens by frequency clusters begin, as 2000,10000",
            rising=True,
            auto=True,
        ),
    ] = AUTO
    ngram_order: Annotated[
        int,
        Setting(
            "the input has a vector of the last 2, 3, ... N tokens too (1: none)",
            least=1,
            most=32,
            auto=True,
        ),
    ] = AUTO
    ngram_rows: Annotated[
        int,
        Setting("vectors that n-grams share, a power of two", least=1, most=2**26, auto=True),
    ] = AUTO
    nonlinearity: Annotated[
        str,
        Setting(
            "of --cell rnn, feedforward or conv", choices=("sigmoid", "tanh", "relu"), auto=True
        ),
    ] = AUTO
    context: Annotated[
        int,
        Setting(
            "tokens that a layer of --cell feedforward or conv sees", least=1, most=256, auto=True
        ),
    ] = AUTO
    bias: Annotated[
        bool, Setting("biases in the recurrent layers (the lecture's equations have none)")
    ] = True
    forget_bias: Annotated[
        float,
        Setting("what the LSTM's forget gate starts at", least=0, most=100, auto=True),
    ] = AUTO
    init: Annotated[
        str,
        Setting("initialisation of recurrent weights", choices=tuple(registry.INITIALISATIONS)),
    ] = "orthogonal"
    direction: Annotated[
        str,
        Setting(
            "read each document from its beginning, or from its end (PROMPT is then what follows)",
            choices=("forward", "backward"),
        ),
    ] = "forward"

    init_from: Annotated[
        str | None, Setting("a run to start from: its weights, and its sizes", none=True)
    ] = None
