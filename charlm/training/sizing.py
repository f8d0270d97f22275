"""What `auto` becomes: sizes from corpus, budget and machine, each with its reason.

Where the budget is in minutes, the width follows what this machine can compute in them;
where it is in epochs or steps, only the corpus counts, so that the same command gives the
same network everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charlm.config import Config
from charlm.contradictions import OWN_WARM_UP, without_validation
from charlm.errors import DataError
from charlm.model.cells.base import Cell, make_cell
from charlm.settings import AUTO
from charlm.training import widths
from charlm.training.batch_sizing import batch_choices, fit_to_text, supposed_streams
from charlm.training.decoder_rates import usual_factor
from charlm.training.ngram_sizing import ngram_choices
from charlm.training.pace import operations
from charlm.training.planned_steps import evaluation_times, last_step
from charlm.training.regularisation_sizing import regularisation_choices
from charlm.training.usual_rates import BY_GRADIENT_ALONE, usual_rate
from charlm.training.vocabulary_sizing import (
    columns,
    cutoffs_for,
    half_as_wide,
    sample_for,
    shared_with_vocabulary,
    widest_for_words,
)

_EFFICIENCY = 0.7  # of a training run against its layers alone (scripts/LOG.md, "Wide layers")
_LARGE_VOCABULARY = 1000  # from here on its layer costs more than the recurrence

MINIMUM_TOKENS = 16  # fewer cannot be split into streams and steps at all
_DEFAULT_MINUTES = 5.0


@dataclass(frozen=True)
class Facts:
    """What sizes depend on."""

    train_tokens: int
    vocabulary_size: int
    rate: float  # of matrix products, 1e9 operations a second, of all processes together
    precision: str  # the better one on this machine
    threads: int
    device: str
    unusual: int = 0  # tokens that are legal in other places than most
    # The share of the text's n-grams of so many tokens that occur once (text/repetition.py).
    seen_once: Callable[[int], float] = lambda length: 0.0
    # 1e9 operations a second of a layer of (cell, hidden units, inputs, streams), of all
    # processes together (training/pace.py); None: as `rate`.
    pace: Callable[[Cell, int, int, int], float] | None = None


@dataclass(frozen=True)
class Choice:
    """One `auto` resolved."""

    key: str
    value: Any
    reason: str


def resolve(config: Config, facts: Facts) -> tuple[Config, list[Choice]]:
    """Numbers in place of every `auto`, and why.

    Raises DataError for a text too small to make a single window of.
    """
    if facts.train_tokens < MINIMUM_TOKENS:
        raise DataError(
            f"the training part has {facts.train_tokens} tokens; needed: at least {MINIMUM_TOKENS}",
            "Give more text, or a smaller --valid-fraction.",
        )
    return _Resolution(config, facts).run()


class _Resolution:
    def __init__(self, config: Config, facts: Facts) -> None:
        self.config, self.facts = config, facts
        self.choices: list[Choice] = []
        self._paces: dict[tuple[int, int, int], float] = {}

    def run(self) -> tuple[Config, list[Choice]]:
        facts, b = self.facts, self.config.budget
        no_limit = b.epochs is None and b.steps is None
        minutes = _DEFAULT_MINUTES if no_limit else None
        if minutes is None and b.minutes == AUTO:
            self.config = self.config.with_values({"budget.minutes": None})
        self._set("budget.minutes", minutes, "no --epochs and no --steps were given")
        self._set("optimisation.device", facts.device, "what there is")
        self._set("optimisation.precision", facts.precision, "the faster right one, by a probe")
        self._set("optimisation.threads", facts.threads, "the fastest at this moment")
        self._model()
        self._batch()
        self._regularisation()
        self._optimisation()
        lr_ratio = self.config.optimisation.lr / self._usual_rate()[0]
        about = facts.train_tokens, self._expected_epochs(), lr_ratio, facts.seen_once
        for choice in ngram_choices(self.config, *about):
            self._set(*choice)
        return self.config, self.choices

    def _set(self, key: str, value: Any, reason: str) -> None:
        if self.config.get(key) == AUTO:
            self.config = self.config.with_values({key: value})
            self.choices.append(Choice(key, value, reason))

    def _batch(self) -> None:
        tokens = self.facts.train_tokens
        by_steps = self.config.budget.steps is not None
        expected = None if by_steps else self._expected_epochs() * tokens
        for choice in batch_choices(self.config, tokens, expected):
            self._set(*choice)
        before, self.config = self.config, fit_to_text(self.config, tokens)
        o = before.optimisation
        reason = f"{tokens:,} tokens are fewer than {o.batch_size} streams of {o.bptt}: reduced"
        for key in ("optimisation.batch_size", "optimisation.bptt"):
            if self.config.get(key) != before.get(key):
                self.choices.append(Choice(key, self.config.get(key), reason))

    def _model(self) -> None:
        if self.config.regularisation.inter_layer_dropout not in (AUTO, 0):
            self._set("model.layers", 2, "--inter-layer-dropout needs two")
        if self.config.model.last_hidden_size not in (AUTO, self.config.model.hidden_size):
            self._set("model.layers", 2, "--last-hidden-size needs two")
        if self.config.model.cell == "conv":
            self._set("model.layers", 3, "each layer sees further")
            self._set("model.nonlinearity", "relu", "as convolutions have it")
        if not self._cell().recurrent:
            self._set("model.context", self._cell().gates, "some words or letters")
        self._set("model.layers", 1, "one wide layer learns most per minute")
        large, reason = self._large, f"a vocabulary of {self.facts.vocabulary_size:,}"
        if self.config.model.softmax == "adaptive":
            cutoffs = cutoffs_for(self.facts.vocabulary_size, self.facts.unusual)
            self._set("model.cutoffs", cutoffs, reason)
            self._set("model.tie_weights", False, "clusters have vectors of their own sizes")
        sample = sample_for(self.facts.vocabulary_size, self.config.model.softmax)
        if sample is None and self.config.optimisation.softmax_sample == AUTO:
            self.config = self.config.with_values({"optimisation.softmax_sample": None})
        self._set("optimisation.softmax_sample", sample, reason)
        embedding = self._hidden_size()
        hidden = self.config.model.hidden_size
        size = self._embedding_size(hidden, embedding)
        self._set("model.embedding_size", size, reason)
        reason = "a large vocabulary shares its vectors" if large else "a small vocabulary"
        self._set("model.tie_weights", large, reason)
        if self.config.model.cell in ("rnn", "feedforward"):
            self._set("model.nonlinearity", "tanh", "learns more than sigmoid and safer than relu")
        if self.config.model.cell == "lstm" and self.config.model.bias:
            self._set("model.forget_bias", 1.0, "remember at first")

    @property
    def _large(self) -> bool:
        return self.facts.vocabulary_size >= _LARGE_VOCABULARY

    @property
    def _sampled(self) -> bool:
        return self._columns() < self.facts.vocabulary_size and not self.config.cutoffs

    def _embedding_size(self, hidden: int, usual: int) -> int:
        m = self.config.model
        if m.embedding_size != AUTO:
            return m.embedding_size
        return hidden if m.tie_weights is True and not self._large else min(hidden, usual)

    def _hidden_size(self) -> int:
        """Choose it; returns what the embedding should be beside it."""
        facts, minutes, layers = self.facts, self.config.budget.minutes, self.config.model.layers
        embedding = 256 if self._large else 64
        if minutes is None:
            width = widths.by_text(facts.train_tokens)
            reason = f"{facts.train_tokens:,} tokens to train on"
        else:
            width = widths.by_work(facts.rate * minutes * 60 / layers)
            reason = f"{minutes:g} min at {facts.rate:.0f} GFLOP/s"
            if self._large:
                tied = self.config.model.softmax == "full"
                width, embedding = shared_with_vocabulary(
                    width, self._columns(), self._cell().gates, tied
                )
                reason += f", shared with {facts.vocabulary_size:,} tokens"
        most = (widest_for_words if self._sampled else widths.widest)(facts.train_tokens)
        if width > most:
            embedding = min(embedding, half_as_wide(most)) if self._sampled else embedding
            width, reason = most, f"only {facts.train_tokens:,} tokens to train on"
        chosen = rule = widths.rounded(width)
        if minutes is not None and self.config.model.hidden_size == AUTO:
            # Narrower where this machine computes wide layers slowly.
            def tokens(w: int, paced: bool = True) -> float:
                size = self._embedding_size(w, embedding)
                return 60 * minutes / self._seconds_per_token(w, size, paced)

            chosen = widths.best_of_narrower(rule, tokens(rule, paced=False), tokens)
        if chosen < rule:
            reason += f"; {rule} would be slower by more than they are worth"
        self._set("model.hidden_size", chosen, reason)
        return embedding

    def _regularisation(self) -> None:
        about = self._expected_epochs(), self._cell().recurrent, self._sampled
        for choice in regularisation_choices(self.config, *about):
            self._set(*choice)

    def _cell(self) -> Cell:
        m = self.config.model
        return make_cell(m.cell, context=None if m.context == AUTO else m.context)

    def _expected_epochs(self) -> float:
        """Passes over the text that the budget allows."""
        b, o, facts = self.config.budget, self.config.optimisation, self.facts
        limits = []
        if b.epochs is not None:
            limits.append(b.epochs)
        if b.steps is not None:
            limits.append(b.steps * o.batch_size * o.bptt / facts.train_tokens)
        if b.minutes is not None:
            m = self.config.model
            seconds = self._seconds_per_token(m.hidden_size, m.embedding_size)
            limits.append(b.minutes * 60 / seconds / facts.train_tokens)
        return min(limits)

    def _seconds_per_token(self, hidden: int, embedding: int, paced: bool = True) -> float:
        """Of training a network of this width; not `paced`: as if all widths had one rate."""
        m, cell, facts = self.config.model, self._cell(), self.facts
        last = hidden if m.last_hidden_size == AUTO else m.last_hidden_size
        sizes = [hidden] * (m.layers - 1) + [last]
        seconds = 0.0
        for size, below in zip(sizes, [embedding, *sizes], strict=False):
            rate = self._pace(cell, size, below) if paced else facts.rate
            seconds += operations(cell, size, below) / rate
        # Tied, the layer onto the vocabulary reads vectors as wide as the embedding.
        tied = self._large if m.tie_weights == AUTO else m.tie_weights
        seconds += 6.0 * (embedding if tied else last) * self._columns() / facts.rate
        return seconds / 1e9 / _EFFICIENCY

    def _pace(self, cell: Cell, hidden: int, inputs: int) -> float:
        if self.facts.pace is None:
            return self.facts.rate
        layer = hidden, inputs, supposed_streams(self.config)
        if layer not in self._paces:
            self._paces[layer] = self.facts.pace(cell, *layer)
        return self._paces[layer]

    def _columns(self) -> float:
        sample = self.config.optimisation.softmax_sample or self.facts.vocabulary_size
        vocabulary = self.facts.vocabulary_size
        return min(sample, columns(vocabulary, self.config.cutoffs))

    def _optimisation(self) -> None:
        o = self.config.optimisation
        lr, reason = self._usual_rate()
        self._set("optimisation.lr", float(f"{lr:.2g}"), reason)
        chosen = usual_factor(o.optimizer, self.config.model, self._cell())
        self._set("optimisation.decoder_lr_factor", *chosen)
        averaged = o.optimizer == "nt-asgd"
        reason = "the average takes the place of a fall" if averaged else "to the end of the budget"
        self._set("optimisation.schedule", "constant" if averaged else "cosine", reason)
        last = last_step(self.config, self.facts.train_tokens)
        schedule = self.config.optimisation.schedule
        if schedule in OWN_WARM_UP:
            self._set("optimisation.warmup_steps", 0, f"{schedule} warms up by itself")
        elif o.optimizer in BY_GRADIENT_ALONE:
            self._set("optimisation.warmup_steps", 0, "no averages of gradients to settle")
        else:
            tokens = self._expected_epochs() * self.facts.train_tokens
            steps = int(tokens / o.batch_size / o.bptt)
            warmup = min(50, (steps if last is None else last) // 10)
            self._set("optimisation.warmup_steps", warmup, "lets averages of gradients settle")
        b = self.config.budget
        if last is not None and b.minutes is None:
            times = evaluation_times(self.config)
            if not without_validation(self.config):
                every = max(1, last // times)
                self._set("budget.eval_every", every, f"{times} times in the budget")
            self._set("budget.report_every", max(1, min(50, last // 20)), "now and then")
        else:
            self._set("budget.report_every", 50, "now and then")

    def _usual_rate(self) -> tuple[float, str]:
        o = self.config.optimisation
        sampled_passes = self._expected_epochs() if self._sampled else 0.0
        return usual_rate(o.optimizer, self.config.model, sampled_passes)
