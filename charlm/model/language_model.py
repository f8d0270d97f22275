"""ids -> logits: embedding, a stack of recurrent layers, a (tied) decoder."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm import registry
from charlm.draws import Draws
from charlm.model import dropout
from charlm.model.cells.base import make_cell
from charlm.model.dropout import DropoutRates
from charlm.model.initialisation import fill_uniform
from charlm.model.legal import LegalTokens
from charlm.model.ngrams import NgramEmbedding
from charlm.model.softmax import Choice, Softmax
from charlm.model.stack import Border, RecurrentStack, StackState

# Of the weights that give logits, in units of torch.nn's: what a gated layer puts out is some
# tenths (scripts/LOG.md, "The layer onto the vocabulary").
_GATED_SPREAD = 3.0
_MANY_TOKENS = 1000  # characters stay below, words and pieces of words do not


@dataclass(frozen=True)
class Architecture:
    """What the network computes: the shapes of all weights, and what is done with them.

    last_hidden_size: of the last layer, None: as the others. zoneout: the share of the old state
    that stays at each step, as it is measured and drawn from (`model.dropout.expectation`).
    ngram_order, ngram_rows: of `model.ngrams`; 1: there are none. softmax: the layer onto the
    vocabulary; cutoffs: where the clusters of an adaptive one begin (`model.adaptive_softmax`).
    """

    vocabulary_size: int
    cell: str
    layers: int
    hidden_size: int
    embedding_size: int
    tie_weights: bool
    last_hidden_size: int | None = None
    nonlinearity: str | None = None
    context: int | None = None
    bias: bool = True
    zoneout: float = 0.0
    ngram_order: int = 1
    ngram_rows: int = 1
    softmax: str = "full"
    cutoffs: tuple[int, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Hidden units of each layer, from below."""
        return (self.hidden_size,) * (self.layers - 1) + (self.output_size,)

    @property
    def output_size(self) -> int:
        """Hidden units of the last layer."""
        return self.last_hidden_size or self.hidden_size

    @property
    def small_vectors(self) -> bool:
        """Whether vectors begin at a tenth of the usual spread."""
        return self.tie_weights and self.vocabulary_size >= _MANY_TOKENS

    def build(self) -> "LanguageModel":
        """The network, its weights not yet drawn."""
        return LanguageModel(self)

    def parameters(self) -> int:
        """The number of weights that are learned, without making them."""
        with torch.device("meta"):
            return sum(p.numel() for p in self.build().parameters() if p.requires_grad)


class Passed(NamedTuple):
    """What one pass gives."""

    outputs: Tensor  # (T, B, H) of the last layer, with output dropout
    state: StackState
    undropped: Tensor  # (T, B, H) the same without output dropout


class Encoder(nn.Module):
    """ids -> what the last layer makes of them, carried in a state.

    e_t = E[x_t]                     embedding (V, E), with n-grams beside it (`ngrams`)
    h_t = stack(e_t, state)          L recurrent layers

    A state has a part for each layer, and where there are n-grams one more: the tokens before.
    """

    layers: RecurrentStack

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        # nn.Embedding would draw values, which costs 1.5 s of imports on the meta device.
        table = torch.empty(a.vocabulary_size, a.embedding_size)
        self.embedding = nn.Embedding.from_pretrained(table, freeze=False)
        self.ngrams: NgramEmbedding | None = None
        if a.ngram_order > 1:
            self.ngrams = NgramEmbedding(
                a.vocabulary_size, a.ngram_order, a.ngram_rows, a.embedding_size
            )
        cell = make_cell(a.cell, nonlinearity=a.nonlinearity, context=a.context)
        self.layers = RecurrentStack(cell, a.embedding_size, a.sizes, a.bias, a.zoneout)
        # How a pass is run; not part of what the model is.
        self.kernel = "auto"
        self.precision = torch.float32

    def initialise(self, init: str, draws: Draws, forget_bias: float | None = None) -> Self:
        """Draw all weights from (seed, place); forget_bias: of the cell that has one."""
        with torch.no_grad():
            self._draw(init, draws.torch("initialisation"), forget_bias)
        return self

    def _draw(self, init: str, generator: torch.Generator, forget_bias: float | None) -> None:
        a = self.architecture
        cell = make_cell(
            a.cell, nonlinearity=a.nonlinearity, context=a.context, forget_bias=forget_bias
        )
        # N(0, 1), as torch.nn: Glorot's bound counts the 4H outputs of W_ih, so that gates see
        # next to nothing of smaller inputs (2.07 against 1.96 nats: scripts/LOG.md). Where the
        # same rows decode many words, the rare ones would be large noise (6.34 against 6.15).
        spread = 0.1 if a.small_vectors else 1.0
        self.embedding.weight.normal_(0, spread, generator=generator)
        for layer in self.layers:
            layer.initialise(init, generator, cell.initial_bias(layer.hidden_size))

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        found: torch.device = self.embedding.weight.device
        return found

    @property
    def tables(self) -> list[nn.Parameter]:
        """The weights of which a step reads few rows: their gradients are sparse."""
        return [] if self.ngrams is None else [self.ngrams.weight]

    def dense(self) -> list[tuple[str, nn.Parameter]]:
        """The others that are learned, with their names."""
        sparse = {id(table) for table in self.tables}
        found = self.named_parameters()
        return [(n, p) for n, p in found if p.requires_grad and id(p) not in sparse]

    @property
    def state_names(self) -> tuple[tuple[str, ...], ...]:
        """What the parts of a state are called."""
        layers = (self.layers.cell.state_names,) * len(self.layers)
        return layers if self.ngrams is None else (*layers, ("history",))

    def empty_state(self, streams: int) -> StackState:
        """Zeros; what comes before any text."""
        layers = self.layers.empty_state(streams)
        return layers if self.ngrams is None else (*layers, (self.ngrams.empty_history(streams),))

    def embed(
        self,
        ids: Tensor,
        state: StackState,
        borders: Sequence[Border] = (),
        rates: DropoutRates | None = None,
        draws: Draws | None = None,
    ) -> tuple[Tensor, StackState]:
        """ids (T, B) -> e (T, B, E), and the parts of the state that are not the layers'."""
        rate = rates.embedding if rates else 0.0
        x = dropout.embedded(ids, self.embedding.weight, rate, draws)
        if self.ngrams is None:
            return x, ()
        vectors, history = self.ngrams(ids, state[-1][0], borders)
        return x + vectors, ((history,),)

    def forward(
        self,
        ids: Tensor,
        state: StackState,
        borders: Sequence[Border] = (),
        rates: DropoutRates | None = None,
        draws: Draws | None = None,
    ) -> Passed:
        """ids (T, B) -> outputs (T, B, H) and the state after the last step.

        Dropout happens only where draws are given.
        """
        rates = rates or DropoutRates()
        x, after = self.embed(ids, state, borders, rates, draws)
        x = dropout.locked(x, rates.input, draws, "input")
        y, layers = self.layers(
            x, state[: len(self.layers)], borders, rates, draws, self.kernel, self.precision
        )
        state = (*layers, *after)
        return Passed(dropout.locked(y, rates.output, draws, "output"), state, y)


class LanguageModel(Encoder):
    """p(next token | all tokens before it): an encoder and

        y_t = W_hy (P h_t) + b           logits (V,), the lecture's W_{h,y}

    Tied (Inan et al. 2017; Press & Wolf 2017): W_hy is the embedding matrix, and P a learned
    projection (E, H) where the sizes differ. Untied: W_hy (V, H) is its own, without P; or the
    layer is another of registry.SOFTMAXES. `logits` and `choices` take outputs, so that a caller
    can have them in parts.
    """

    decoder: Softmax

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        self.projection: nn.Linear | None = None
        if a.tie_weights and a.embedding_size != a.output_size:
            self.projection = nn.Linear(a.output_size, a.embedding_size, bias=False)
        make = registry.resolve(registry.SOFTMAXES, a.softmax)
        self.decoder = make(a.vocabulary_size, a.output_size, a.tie_weights, a.cutoffs)

    def _draw(self, init: str, generator: torch.Generator, forget_bias: float | None) -> None:
        super()._draw(init, generator, forget_bias)
        spread = _GATED_SPREAD if self.layers.cell.gated else 1.0
        if self.projection is not None:
            # As W itself; beside vectors of N(0, 1) that would be too much.
            width = spread if self.architecture.small_vectors else 1.0
            bound = width / math.sqrt(self.architecture.output_size)
            fill_uniform(self.projection.weight, bound, generator)
        self.decoder.draw(generator, spread)

    def choices(
        self, outputs: Tensor, targets: Tensor, legal: LegalTokens, states: np.ndarray
    ) -> Iterator[Choice]:
        """The softmaxes that choose targets (N,) in states (N,) after outputs (N, H)."""
        shared = self.embedding.weight
        return self.decoder.choices(self._decoded(outputs), shared, targets, legal, states)

    def logits(self, outputs: Tensor) -> Tensor:
        """outputs (..., H) -> logits (..., V), in fp32 (or fp64)."""
        return self.decoder.logits(self._decoded(outputs), self.embedding.weight)

    def _decoded(self, outputs: Tensor) -> Tensor:
        """P h (..., E), or h itself, in the dtype of the products."""
        dtype = self.embedding.weight.dtype
        precision = self.precision if dtype == torch.float32 else dtype
        outputs = outputs.to(precision)
        if self.projection is not None:
            outputs = F.linear(outputs, self.projection.weight.to(precision))
        return outputs
