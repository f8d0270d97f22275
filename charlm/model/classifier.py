"""A text -> logits of its classes: encoders that read it, pooling, a head.

    h_1 ... h_n = encoder(x_1 ... x_n)      read in chunks, each from the state of the one before
    v = pooling(h_1 ... h_n)                model/pooling.py
    y = head(v)                             logits (C,): model/head.py

One encoder reads from the beginning (or from the end, if that is how it was trained). Two:
the second reads the other way, and either one head sees both vectors (a bidirectional network:
two stacks side by side, not layer by layer as in torch.nn), or each has a head of its own and
the probabilities are averaged (the ensemble of Howard & Ruder 2018, sec. 3.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from charlm import registry
from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.head import Head
from charlm.model.language_model import Architecture, Encoder, LanguageModel
from charlm.model.pooling import Pooled
from charlm.model.whole_texts import OfChunk, Texts, read


@dataclass(frozen=True)
class ClassifierArchitecture:
    """What the network computes.

    heads: 1, or one for each of `encoders`. predicts: the encoders keep their layer onto the
    vocabulary, for an auxiliary loss.
    """

    encoder: Architecture
    classes: int
    pooling: str = "concat"
    head_size: int | None = None
    encoders: int = 1
    heads: int = 1
    predicts: bool = False

    def build(self) -> "Classifier":
        """The network, its weights not yet drawn."""
        return Classifier(self)

    def parameters(self) -> int:
        """The number of weights that are learned, without making them."""
        with torch.device("meta"):
            return sum(p.numel() for p in self.build().parameters() if p.requires_grad)


class Classifier(nn.Module):
    """p(class | text). `forward` gives the logits of each head."""

    def __init__(self, architecture: ClassifierArchitecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        kind = LanguageModel if a.predicts else Encoder
        self.encoders = nn.ModuleList(kind(a.encoder) for _ in range(a.encoders))
        self.pooling = registry.resolve(registry.POOLINGS, a.pooling)
        nothing = Pooled.nothing(1, a.encoder.output_size, torch.zeros(1))
        parts = self.pooling(nothing, torch.ones(1)).shape[1] * (a.encoders // a.heads)
        self.heads = nn.ModuleList(
            Head(parts, a.encoder.output_size, a.head_size, a.classes) for _ in range(a.heads)
        )

    @property
    def readers(self) -> list[Encoder]:
        """The encoders, as what they are."""
        return cast(list[Encoder], list(self.encoders))

    def initialise(self, init: str, draws: Draws, forget_bias: float | None = None) -> "Classifier":
        """Draw all weights from (seed, place)."""
        for number, encoder in enumerate(self.readers):
            encoder.initialise(init, draws.of(f"encoder {number}"), forget_bias)
        with torch.no_grad():
            for number, head in enumerate(self.heads):
                cast(Head, head).draw(draws.torch(f"head {number}"))
        return self

    def run_with(self, kernel: str, precision: torch.dtype) -> None:
        """How passes are run; not part of what the model is."""
        for encoder in self.readers:
            encoder.kernel, encoder.precision = kernel, precision

    def standardise(self, vectors: Tensor) -> None:
        """Let the heads know the usual text, from the pooled vectors (N, F) of some: those of all
        encoders beside each other."""
        for head, part in zip(self.heads, vectors.chunk(len(self.heads), dim=1), strict=True):
            cast(Head, head).standardise(part.to(next(head.parameters()).device))

    def layer_groups(self) -> list[list[str]]:
        """Names of the weights, group by group from the top: heads, layers, embedding.

        The vectors of n-grams are in none, nor what is not learned: they stay as the language
        model has them.
        """
        layers = self.architecture.encoder.layers
        groups: list[list[str]] = [[] for _ in range(layers + 2)]
        for name, weight in self.named_parameters():
            parts = name.split(".")
            if not weight.requires_grad or (parts[0] == "encoders" and parts[2] == "ngrams"):
                continue
            place = 0
            if parts[0] == "encoders" and parts[2] == "layers":
                place = layers - int(parts[3])
            elif parts[0] == "encoders" and parts[2] == "embedding":
                place = layers + 1
            groups[place].append(name)
        return groups

    def forward(
        self,
        texts: Sequence[Texts],
        chunk: int,
        rates: DropoutRates | None = None,
        draws: Draws | None = None,
        head_dropout: float = 0.0,
        of_chunks: Sequence[OfChunk] | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """The batch as each encoder reads it -> logits (B, C) of each head, and the sum of what
        `of_chunks` find, one for each encoder.

        The gradient ends where a chunk of time steps begins; dropout masks are those of the batch.
        """
        vectors, found = [], []
        for number, (encoder, batch) in enumerate(zip(self.readers, texts, strict=True)):
            place = draws and draws.of(f"encoder {number}")
            pooled, more = read(
                encoder,
                batch,
                chunk,
                rates,
                place,
                None if of_chunks is None else of_chunks[number],
            )
            vectors.append(self.pooling(pooled, batch.lengths))
            found.append(more)
        return self.logits(vectors, draws, head_dropout), torch.stack(found).sum()

    def logits(
        self, vectors: list[Tensor], draws: Draws | None = None, dropout: float = 0.0
    ) -> list[Tensor]:
        """The vectors (B, P, H) of all encoders -> logits (B, C) of each head."""
        if len(self.heads) == 1:
            vectors = [torch.cat(vectors, dim=1)]
        return [
            head(vector, dropout, draws and draws.of(f"head {number}"))
            for number, (head, vector) in enumerate(zip(self.heads, vectors, strict=True))
        ]
