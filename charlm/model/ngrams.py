"""What the last few tokens were, as a vector beside that of the newest.

    e_t = E[x_t] + sum over n = 2 ... N of G[row(x_{t-n+1}, ..., x_t)]

G (R, E) is one table for the n-grams of all lengths, `row` a hash: n-grams may share a row
(Pagnoni et al. 2024, "Byte Latent Transformer", sec. 3.2.1, who have a table for each length).
A recurrent layer would have to learn each word letter by letter before it could tell what it is
in; a row knows it at once, and costs no matrix product. The rows start at zero.

The tokens before are part of the state, as zeros where the state is empty: no n-gram reaches
back over a border. What stands there are `codes`, numbers of tokens: their ids and 1, or
what they were in the run whose rows these were at first (`charlm.transfer`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from charlm.model.ngram_rows import ngram_rows

if TYPE_CHECKING:
    from charlm.model.stack import Border


class NgramEmbedding(nn.Module):
    """order N from 2; rows R, a power of two; E the size of a vector."""

    def __init__(self, vocabulary_size: int, order: int, rows: int, embedding_size: int) -> None:
        super().__init__()
        self.order, self.rows = order, rows
        self.weight = nn.Parameter(torch.zeros(rows, embedding_size))
        # Exact in float32 up to 2^24, and stored with the weights.
        codes = torch.arange(1, vocabulary_size + 1, dtype=torch.float32)
        self.codes = nn.Parameter(codes, requires_grad=False)  # (V,)

    def empty_history(self, streams: int) -> Tensor:
        """(B, N-1): no tokens."""
        return self.codes.new_zeros(streams, self.order - 1)

    def forward(
        self, ids: Tensor, history: Tensor, borders: Sequence["Border"] = ()
    ) -> tuple[Tensor, Tensor]:
        """ids (T, B), and the codes of the tokens before (B, N-1), newest first -> (T, B, E) and
        those before the next step. The gradient of `weight` is sparse."""
        T, B = ids.shape
        # codes of all steps, oldest first: (N-1+T, B)
        codes = torch.cat([history.flip(1).T, self.codes[ids].to(history)]).long()
        begin = self._begins(T, B, borders, ids.device)
        steps = torch.arange(T, device=ids.device).unsqueeze(1)
        lagged = [codes[self.order - 1 :]]
        for lag in range(1, self.order):
            before = codes[self.order - 1 - lag : len(codes) - lag]  # (T, B)
            lagged.append(torch.where(steps - lag >= begin, before, 0))
        places = torch.stack(ngram_rows(lagged, self.rows), dim=-1)  # (T, B, N-1)
        vectors = nn.functional.embedding_bag(
            places.view(T * B, -1), self.weight, mode="sum", sparse=True
        )
        history = torch.stack([part[-1] for part in lagged[:-1]], dim=1).to(history)
        return vectors.view(T, B, -1), history

    def _begins(
        self, steps: int, streams: int, borders: Sequence["Border"], device: torch.device
    ) -> Tensor:
        """(T, B): the step at which what a stream has read since its last border began."""
        begin = torch.full((steps, streams), -self.order, device=device)
        for border in borders:
            begin[border.step :, border.fresh] = border.step
        return begin
