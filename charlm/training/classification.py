"""Learning to tell classes of texts: the task that `loop` trains on labelled texts."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.draws import Draws
from charlm.model.classifier import Classifier
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import LanguageModel, Passed
from charlm.model.legal import LegalTokens
from charlm.model.whole_texts import OfChunk, Texts
from charlm.text.text_ids import TextIds
from charlm.text.tokenizers.base import Grammar
from charlm.training.loss import cross_entropy
from charlm.training.step import StepLoss
from charlm.training.text_batches import TextBatches, side_by_side


class Classification:
    """The mean over texts of -log p(class), each class weighed; labels (N,): of the texts.

    unfreeze_every: steps until one more group of layers learns, from the top, the head alone at
    first (gradual unfreezing: Howard & Ruder 2018, sec. 3.3); None: all from the beginning.
    lm_loss: what the encoders' loss of predicting the next token counts beside (Radford et al.
    2018, eq. 5).
    """

    unit = "text"

    def __init__(
        self,
        model: Classifier,
        texts: TextIds,
        labels: np.ndarray,
        batch_size: int,
        rates: DropoutRates,
        head_dropout: float,
        chunk: int,
        seed: int,
        grammar: Grammar,
        filling: int,
        class_weights: Sequence[float],
        unfreeze_every: int | None = None,
        lm_loss: float = 0.0,
    ) -> None:
        self.model, self.texts, self.seed, self.chunk = model, texts, seed, chunk
        self.rates, self.head_dropout = rates, head_dropout
        self.grammar, self.filling, self.lm_loss = grammar, filling, lm_loss
        self.batches = TextBatches(texts.lengths, batch_size, seed)
        self.groups = model.layer_groups()
        self.unfreeze_every = unfreeze_every
        self.device = model.readers[0].embedding.weight.device
        self.labels = torch.from_numpy(labels)
        self.weights = torch.tensor(class_weights, dtype=torch.float32, device=self.device)
        self.legal = LegalTokens(grammar.legal, self.device)

    @property
    def windows_per_epoch(self) -> int:
        return self.batches.per_epoch

    def learning(self, step: int) -> int:
        """How many groups, from the top, learn in `step`."""
        if self.unfreeze_every is None:
            return len(self.groups)
        return min(1 + step // self.unfreeze_every, len(self.groups))

    def moved(self, step: int) -> Collection[str]:
        """The weights of all groups that have learned before `step`."""
        groups = self.groups[: self.learning(step - 1)] if step else []
        return {name for group in groups for name in group}

    def loss(self, step: int) -> StepLoss:
        """The mean loss of batch `step`; over the heads, where there are several."""
        learned = self.moved(step + 1)
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(name in learned)
        batch = self.batches.batch(step)
        labels = self.labels[torch.from_numpy(batch.numbers)].to(self.device)
        texts = [self._texts(batch.numbers, encoder) for encoder in range(len(self.model.encoders))]
        of_chunks = [self._predicting(number, one) for number, one in enumerate(texts)]
        logits, predicted = self.model(
            texts,
            self.chunk,
            self.rates,
            Draws(self.seed, step),
            self.head_dropout,
            of_chunks if self.lm_loss else None,
        )
        nats = [F.cross_entropy(one, labels, reduction="none") for one in logits]
        loss = (torch.stack(nats) * self.weights[labels]).mean()
        tokens = sum(int(one.lengths.sum()) for one in texts)
        penalty = self.lm_loss / tokens * predicted if self.lm_loss else None
        return StepLoss(loss, tokens, batch.epoch, penalty, batch.share)

    def _texts(self, numbers: np.ndarray, encoder: int) -> Texts:
        ids = [self.texts.read(number, encoder) for number in numbers.tolist()]
        found = side_by_side(ids, self.filling)
        return Texts(found.ids.to(self.device), found.lengths.to(self.device))

    def _predicting(self, number: int, texts: Texts) -> OfChunk:
        """The sum of -log p(next token) over a chunk of texts as encoder `number` reads them."""
        encoder = self.model.readers[number]
        targets = texts.ids[1:]
        free = np.zeros(targets.shape[1], np.uint8)
        states = self.grammar.run(free, targets.cpu().numpy())[0] if self.lm_loss else None

        def nats(passed: Passed, begin: int) -> Tensor:
            assert isinstance(encoder, LanguageModel) and states is not None
            here = targets[begin : begin + len(passed.outputs)]
            times = torch.arange(begin, begin + len(here), device=self.device).unsqueeze(1)
            inside = times < texts.lengths - 1  # (T, B) where the text goes on
            if not inside.any():
                return passed.outputs.new_zeros((), dtype=torch.float32)
            outputs = passed.outputs[: len(here)][inside].unsqueeze(1)  # (N, 1, H)
            before = states[begin : begin + len(here)][inside.cpu().numpy()]
            mean = cross_entropy(encoder, outputs, here[inside].unsqueeze(1), self.legal, before)
            return mean * len(outputs)

        return nats

    def carried(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, carried: dict[str, Tensor]) -> None:
        """Nothing."""
