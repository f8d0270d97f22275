"""Learning to predict the next token: the task that `loop` trains on streams of text."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import LanguageModel, Passed
from charlm.model.legal import LegalTokens
from charlm.model.stack import Border, StackState
from charlm.training.activation_penalties import activation_penalty, temporal_activation_penalty
from charlm.training.batches import StreamBatches
from charlm.training.loss import cross_entropy
from charlm.training.step import StepLoss
from charlm.training.through_time import STREAMS, ThroughTime, norm, saturated_share
from charlm.training.vocabulary_sample import VocabularySample


class LanguageModelling:
    """Truncated BPTT (Williams & Peng 1990): the state is carried from window to window, and
    the gradient ends where the window begins."""

    state: StackState
    unit = "token"

    def __init__(
        self,
        model: LanguageModel,
        batches: StreamBatches,
        rates: DropoutRates,
        seed: int,
        activation: float = 0.0,
        temporal_activation: float = 0.0,
        sample: VocabularySample | None = None,
    ) -> None:
        self.model, self.batches, self.rates, self.seed = model, batches, rates, seed
        self.activation, self.temporal_activation = activation, temporal_activation
        self.sample = sample
        self.device = model.device
        self.legal = LegalTokens(batches.grammar.legal, self.device)
        self.forget()

    @property
    def windows_per_epoch(self) -> int:
        return self.batches.windows_per_epoch

    def forget(self) -> None:
        """Go back to the empty state."""
        self.state = self.model.empty_state(len(self.batches.share))

    def loss(self, step: int) -> StepLoss:
        """The mean loss of window `step`, whose end state the next window starts from.

        Where only a share of the streams is here, its part of the mean: the parts of all
        processes add up to it, and so do their penalties.
        """
        window, share = self.batches.window(step), self.batches.share
        if window.first:
            self.forget()
        borders = [border.to(self.device) for border in window.borders]
        draws = Draws(self.seed, step, share)
        ids = window.inputs.to(self.device)
        passed = self.model(ids, self.state, borders, self.rates, draws)
        self.state = tuple(tuple(part.detach() for part in layer) for layer in passed.state)
        targets = window.targets.to(self.device)
        narrowed = None if self.sample is None else self.sample.of(step)
        loss = cross_entropy(
            self.model, passed.outputs, targets, self.legal, window.states, narrowed
        )
        penalty = self._penalty(passed, borders)
        if share.part < 1:
            loss = loss * share.part
            penalty = None if penalty is None else penalty * share.part
        return StepLoss(loss, window.tokens, window.epoch, penalty, window.share)

    def _penalty(self, passed: Passed, borders: Sequence[Border]) -> Tensor | None:
        parts = []
        if self.activation:
            parts.append(activation_penalty(passed, self.activation))
        if self.temporal_activation:
            parts.append(temporal_activation_penalty(passed, self.temporal_activation, borders))
        return torch.stack(parts).sum() if parts else None

    def through_time(self, step: int) -> ThroughTime:
        """How the network fares over window `step`, the one it would read next, of which nothing
        is learned here: what a run killed and gone on with finds again.

        As if no document began in it: what is asked is what the network carries.
        """
        window = self.batches.window(step)
        inputs, targets = window.inputs.to(self.device), window.targets.to(self.device)
        saturated = saturated_share(self.model, inputs[0], self.state)
        few = slice(STREAMS)
        start = tuple(
            tuple(part[few].clone().requires_grad_() for part in layer) for layer in self.state
        )
        outputs = self.model(inputs[:, few], start).outputs
        loss = cross_entropy(
            self.model, outputs[-1:], targets[-1:, few], self.legal, window.states[-1:, few]
        )
        parts = [part for layer in start for part in layer]
        last, *before = torch.autograd.grad(loss, [outputs, *parts], allow_unused=True)
        reached = tuple(part for part in before if part is not None)
        return ThroughTime(norm(reached) / (norm((last,)) or 1.0), saturated, len(inputs))

    def moved(self, step: int) -> Collection[str]:
        """All that are learned, by the first step."""
        return [n for n, weight in self.model.named_parameters() if weight.requires_grad and step]

    def carried(self) -> dict[str, Tensor]:
        """The carried state of the streams that are here, (B, H) each, by name."""
        return {
            f"{number}.{name}": part
            for number, names in enumerate(self.model.state_names)
            for name, part in zip(names, self.state[number], strict=True)
        }

    def restore(self, carried: dict[str, Tensor]) -> None:
        """Take the carried state back from a checkpoint."""
        self.state = tuple(
            tuple(carried[f"{number}.{name}"] for name in names)
            for number, names in enumerate(self.model.state_names)
        )
