"""ids -> logits: embedding, a stack of recurrent layers, a (tied) decoder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm import registry
from charlm.draws import Draws
from charlm.model import dropout
from charlm.model.dropout import DropoutRates
from charlm.model.initialisation import uniform
from charlm.model.stack import Border, RecurrentStack, StackState


@dataclass(frozen=True)
class Architecture:
    """What decides the shapes of all weights."""

    vocabulary_size: int
    cell: str
    layers: int
    hidden_size: int
    embedding_size: int
    tie_weights: bool

    def parameters(self) -> int:
        """The number of weights, without making them."""
        with torch.device("meta"):
            return sum(p.numel() for p in LanguageModel(self).parameters())


class LanguageModel(nn.Module):
    """p(next token | all tokens before it), carried in a state.

        e_t = E[x_t]                     embedding (V, E)
        h_t = stack(e_t, state)          L recurrent layers
        y_t = W_hy (P h_t) + b           logits (V,), the lecture's W_{h,y}

    Tied (Inan et al. 2017; Press & Wolf 2017): W_hy is the embedding matrix, and P a learned
    projection (E, H) where the sizes differ. Untied: W_hy (V, H) is its own, without P.
    """

    layers: RecurrentStack
    decoder: "Decoder"

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        # nn.Embedding would draw values, which costs 1.5 s of imports on the meta device.
        table = torch.empty(a.vocabulary_size, a.embedding_size)
        self.embedding = nn.Embedding.from_pretrained(table, freeze=False)
        cell = registry.resolve(registry.CELLS, a.cell)()
        self.layers = RecurrentStack(cell, a.layers, a.embedding_size, a.hidden_size)
        self.projection: nn.Linear | None = None
        if a.tie_weights and a.embedding_size != a.hidden_size:
            self.projection = nn.Linear(a.hidden_size, a.embedding_size, bias=False)
        self.decoder = Decoder(a.vocabulary_size, None if a.tie_weights else a.hidden_size)
        # How a pass is run; not part of what the model is.
        self.kernel = "auto"
        self.precision = torch.float32

    def initialise(self, init: str, draws: Draws) -> "LanguageModel":
        """Draw all weights from (seed, place)."""
        a = self.architecture
        generator = draws.torch("initialisation")
        with torch.no_grad():
            # N(0, 1), as torch.nn: Glorot's bound counts the 4H outputs of W_ih, so that gates see
            # next to nothing of smaller inputs (2.07 against 1.96 nats: scripts/LOG.md).
            self.embedding.weight.normal_(0, 1, generator=generator)
            for layer in self.layers:
                layer.initialise(init, generator)
            if self.projection is not None:
                uniform(self.projection.weight, 1 / math.sqrt(a.hidden_size), generator)
            if self.decoder.weight is not None:
                uniform(self.decoder.weight, 1 / math.sqrt(a.hidden_size), generator)
            self.decoder.bias.zero_()
        return self

    def empty_state(self, streams: int) -> StackState:
        """Zeros; what comes before any text."""
        return self.layers.empty_state(streams)

    def forward(
        self,
        ids: Tensor,
        state: StackState,
        borders: Sequence[Border] = (),
        rates: DropoutRates | None = None,
        draws: Draws | None = None,
    ) -> tuple[Tensor, StackState]:
        """ids (T, B) -> outputs (T, B, H) and the state after the last step.

        `logits` makes logits of outputs, so that a caller can take them in parts. Dropout
        happens only where draws are given.
        """
        rates = rates or DropoutRates()
        x = dropout.locked(self.embedding(ids), rates.input, draws, "input")
        y, state = self.layers(x, state, borders, rates, draws, self.kernel, self.precision)
        return dropout.locked(y, rates.output, draws, "output"), state

    def logits(self, outputs: Tensor) -> Tensor:
        """outputs (..., H) -> logits (..., V), in fp32 (or fp64)."""
        dtype = self.decoder.bias.dtype
        precision = self.precision if dtype == torch.float32 else dtype
        outputs = outputs.to(precision)
        if self.projection is not None:
            outputs = F.linear(outputs, self.projection.weight.to(precision))
        weight = self.embedding.weight if self.decoder.weight is None else self.decoder.weight
        return F.linear(outputs, weight.to(precision)).to(dtype) + self.decoder.bias


class Decoder(nn.Module):
    """W_hy (V, H) and b (V,); without W_hy where it is tied to the embedding."""

    def __init__(self, vocabulary_size: int, input_size: int | None) -> None:
        super().__init__()
        self.weight: nn.Parameter | None = None
        if input_size is not None:
            self.weight = nn.Parameter(torch.empty(vocabulary_size, input_size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
