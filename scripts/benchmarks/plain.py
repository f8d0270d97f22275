"""The plain PyTorch way: what every tutorial does, in fp32."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "gru-cho": nn.GRU, "rnn": nn.RNN}


class PlainModel(nn.Module):
    """The language model of the tutorials. torch has no gru-cho: its own GRU stands beside it."""

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        layers: int,
        cell: str = "lstm",
        cutoffs: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        dropout = 0.2 if layers > 1 else 0.0
        self.cells = CELLS[cell](hidden, hidden, layers, dropout=dropout)
        self.dropout = nn.Dropout(0.2)
        self.decoder: nn.Module
        if cutoffs:
            self.decoder = nn.AdaptiveLogSoftmaxWithLoss(hidden, vocabulary, list(cutoffs))
        else:
            self.decoder = nn.Linear(hidden, vocabulary)

    def outputs(self, ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        y, state = self.cells(self.dropout(self.embedding(ids)), state)
        return self.dropout(y), state

    def forward(self, ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        y, state = self.outputs(ids, state)
        return self.decoder(y), state

    def loss(
        self, ids: torch.Tensor, targets: torch.Tensor, state: Any
    ) -> tuple[torch.Tensor, Any]:
        y, state = self.outputs(ids, state)
        y, targets = y.flatten(0, 1), targets.flatten()
        if isinstance(self.decoder, nn.AdaptiveLogSoftmaxWithLoss):
            return self.decoder(y, targets).loss, state
        return nn.functional.cross_entropy(self.decoder(y), targets), state


def detached(state: Any) -> Any:
    """The state without its past, of one part or two."""
    return state.detach() if torch.is_tensor(state) else tuple(part.detach() for part in state)
