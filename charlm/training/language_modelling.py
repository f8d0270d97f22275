"""Learning to predict the next token: the task that `loop` trains on streams of text."""

from torch import Tensor

from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import LanguageModel
from charlm.model.legal import LegalTokens
from charlm.model.stack import StackState
from charlm.training.batches import StreamBatches
from charlm.training.loop import StepLoss
from charlm.training.loss import cross_entropy


class LanguageModelling:
    """Truncated BPTT (Williams & Peng 1990): the state is carried from window to window, and
    the gradient ends where the window begins."""

    def __init__(
        self, model: LanguageModel, batches: StreamBatches, rates: DropoutRates, seed: int
    ) -> None:
        self.model, self.batches, self.rates, self.seed = model, batches, rates, seed
        self.device = model.decoder.bias.device
        self.legal = LegalTokens(batches.grammar.legal, self.device)
        self.state: StackState = model.empty_state(batches.batch_size)

    @property
    def windows_per_epoch(self) -> int:
        return self.batches.windows_per_epoch

    def loss(self, step: int) -> StepLoss:
        """The mean loss of window `step`, whose end state the next window starts from."""
        window = self.batches.window(step)
        if window.first:
            self.state = self.model.empty_state(self.batches.batch_size)
        outputs, state = self.model(
            window.inputs.to(self.device),
            self.state,
            [border.to(self.device) for border in window.borders],
            self.rates,
            Draws(self.seed, step),
        )
        self.state = tuple(tuple(part.detach() for part in layer) for layer in state)
        targets = window.targets.to(self.device)
        loss = cross_entropy(self.model, outputs, targets, self.legal, window.states)
        return StepLoss(loss, window.tokens, window.epoch)

    def carried(self) -> dict[str, Tensor]:
        """The carried state by name, for a checkpoint."""
        names = self.model.layers.cell.state_names
        return {
            f"{number}.{name}": part
            for number, layer in enumerate(self.state)
            for name, part in zip(names, layer, strict=True)
        }

    def restore(self, carried: dict[str, Tensor]) -> None:
        """Take the carried state back from a checkpoint."""
        names = self.model.layers.cell.state_names
        self.state = tuple(
            tuple(carried[f"{number}.{name}"] for name in names)
            for number in range(len(self.state))
        )
