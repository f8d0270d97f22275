"""What `auto` becomes for a classifier: from the number and the lengths of its texts."""

import math
from dataclasses import dataclass

import numpy as np

from charlm.classifier_settings import ClassifierConfig
from charlm.model.cells.base import make_cell
from charlm.settings import AUTO
from charlm.training.sizing import Choice
from charlm.training.text_batches import cuts

_LM_TOKENS = 3e6  # read in all while the language model is fine-tuned, in 1 to 10 passes
_TEXTS, _TOKENS = 12_000, 6e6  # read in all while the classifier learns, in 3 to 40 passes
_STEEPEST = 0.5  # the rate of optimisers that step along the gradient
_PER_UNIT, _MOST = 2.0, 0.02  # of those whose steps are of one size: over the hidden units


@dataclass(frozen=True)
class ClassifierFacts:
    """What the choices depend on."""

    lengths: np.ndarray  # of the training texts, in tokens
    lm_tokens: int  # of all text that the language model is fine-tuned on
    pretrained: bool
    has_valid: bool


def resolve(
    config: ClassifierConfig, facts: ClassifierFacts
) -> tuple[ClassifierConfig, list[Choice]]:
    """Numbers in place of every `auto` that is the classifier's own, and why."""
    chosen = _Choosing(config, facts)
    chosen.run()
    return chosen.config, chosen.choices


def rate(optimizer: str, hidden: int) -> Choice:
    """--lr of the head, once the layers have their size.

    A step that moves each weight by eta moves what n units give by n times as much (muP: Yang et
    al. 2021, table 3). With one rate for all layers 0.008 was best of five with 256 units
    on sections of notes, and 0.003 as good as 0.006 with 512 on reports (scripts/LOG.md).
    """
    if optimizer in ("sgd", "nt-asgd"):
        return Choice("optimisation.lr", _STEEPEST, f"of the head, with {optimizer}")
    lr = float(f"{min(_MOST, _PER_UNIT / hidden):.2g}")
    return Choice("optimisation.lr", lr, f"of the head, with {optimizer}, over {hidden:,} units")


class _Choosing:
    def __init__(self, config: ClassifierConfig, facts: ClassifierFacts) -> None:
        self.config, self.facts = config, facts
        self.choices: list[Choice] = []

    def _set(self, key: str, value: object, reason: str) -> None:
        unset = None if key == "budget.epochs" else AUTO
        if self.config.get(key) == unset:
            self.config = self.config.with_values({key: value})
            self.choices.append(Choice(key, value, reason))

    def run(self) -> None:
        n, tokens = len(self.facts.lengths), int(self.facts.lengths.sum())
        texts = f"{n:,} texts to train on"
        self._set("optimisation.batch_size", 2 ** min(5, max(4, round(math.log2(n / 16)))), texts)
        most = 4 * int(np.ceil(np.quantile(self.facts.lengths, 0.99)))
        self._set("classifier.max_length", most, "four times what all but 1 % of them have")
        self._set("optimisation.bptt", 128, "long texts are read in such chunks")
        self._set("budget.minutes", None, "--epochs decides")
        if self.config.budget.steps is None:
            passes = min(40, max(3, round(min(_TEXTS / n, _TOKENS / tokens))))
            self._set("budget.epochs", float(passes), f"{texts}, of {tokens / n:,.0f} tokens")
        self._language_model()
        self._regularisation()
        self._steps(n)

    def _language_model(self) -> None:
        if not self.facts.pretrained:
            self._set("classifier.lm_epochs", 0.0, "there is no RUN to go on from")
            return
        passes = min(10, max(1, round(_LM_TOKENS / max(1, self.facts.lm_tokens))))
        reason = f"{self.facts.lm_tokens:,} tokens to fine-tune on"
        self._set("classifier.lm_epochs", float(passes), reason)

    def _regularisation(self) -> None:
        reason = "few texts are learned by heart quickly"
        layers = self.config.model.layers
        self._set("regularisation.embedding_dropout", 0.05, reason)
        self._set("regularisation.input_dropout", 0.2, reason)
        inter = 0.0 if layers == 1 else 0.2
        self._set("regularisation.inter_layer_dropout", inter, reason)
        temporal = 0.2 if make_cell(self.config.model.cell).recurrent else 0.0
        self._set("regularisation.temporal_dropout", temporal, reason)
        self._set("regularisation.output_dropout", 0.4, "as in Howard & Ruder 2018")

    def _steps(self, n: int) -> None:
        o, b = self.config.optimisation, self.config.budget
        per_epoch = 1 + len(cuts(n, o.batch_size))
        limits = [] if b.steps is None else [b.steps]
        if b.epochs is not None:
            limits.append(max(1, round(b.epochs * per_epoch)))
        steps = min(limits)
        self._set("optimisation.schedule", "stlr", "a short rise, a long fall")
        by_itself = self.config.optimisation.schedule in ("stlr", "one-cycle")
        warmup = 0 if by_itself else min(50, steps // 10)
        self._set("optimisation.warmup_steps", warmup, "lets averages of gradients settle")
        if self.config.classifier.gradual_unfreezing:
            every = max(1, min(per_epoch, steps // (2 * (self.config.model.layers + 2))))
            self._set("classifier.unfreeze_every", every, "an epoch, or all layers by half-time")
        if self.facts.has_valid:
            every = max(per_epoch, steps // 20)
            self._set("budget.eval_every", every, "each epoch, or twenty times in all")
        self._set("budget.report_every", max(1, min(50, steps // 20)), "now and then")
