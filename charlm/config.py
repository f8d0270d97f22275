"""A whole run as frozen dataclasses: every setting with its meaning, range and default.

A value of `auto` stands until training starts; then `training.sizing` puts numbers in its
place, and the resolved configuration is what a run directory holds. `precedence` puts a
configuration together from preset, file and options, and reads and writes TOML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

from charlm import registry
from charlm.config_model import Model
from charlm.config_text import Corpus, Tokenizer
from charlm.settings import AUTO, Setting, fields_of


def _probability(help: str) -> Setting:
    return Setting(help, least=0, below=1, auto=True)


@dataclass(frozen=True)
class Regularisation:
    """What keeps the model from learning the text by heart."""

    dropout: Annotated[float, Setting("a factor on all the dropouts below", least=0, most=10)] = 1.0
    embedding_dropout: Annotated[float, _probability("on whole tokens of a window")] = AUTO
    input_dropout: Annotated[float, _probability("on token vectors, locked over time")] = AUTO
    inter_layer_dropout: Annotated[
        float, _probability("between stacked layers, locked over time")
    ] = AUTO
    temporal_dropout: Annotated[float, _probability("on the connections through time")] = AUTO
    temporal_dropout_kind: Annotated[
        str,
        Setting(
            "how connections through time are dropped",
            choices=tuple(registry.TEMPORAL_DROPOUTS),
            auto=True,
        ),
    ] = AUTO
    temporal_dropout_mask: Annotated[
        str,
        Setting(
            "variational: one mask shared by the streams of a window, or one each",
            choices=("shared", "stream"),
            auto=True,
        ),
    ] = AUTO
    output_dropout: Annotated[
        float, _probability("on the last layer's output, locked over time")
    ] = AUTO
    weight_decay: Annotated[
        float,
        Setting(
            "decay of matrices (adamw, muon: decoupled, else L2)", least=0, most=100, auto=True
        ),
    ] = AUTO
    activation_penalty: Annotated[
        float, Setting("on large outputs of the last layer (AR)", least=0, most=1e6)
    ] = 0.0
    temporal_activation_penalty: Annotated[
        float, Setting("on quick changes of the last layer's output (TAR)", least=0, most=1e6)
    ] = 0.0
    reset_probability: Annotated[
        float,
        Setting(
            "chance a window to set a stream back to the empty state", least=0, most=1, auto=True
        ),
    ] = AUTO


@dataclass(frozen=True)
class Optimisation:
    """How the weights move."""

    optimizer: Annotated[str, Setting("the optimiser", choices=tuple(registry.OPTIMIZERS))] = (
        "adamw"
    )
    lr: Annotated[float, Setting("peak learning rate", above=0, most=1e4, auto=True)] = AUTO
    decoder_lr_factor: Annotated[
        float,
        Setting(
            "the layer onto the vocabulary (tied: the projection before it) learns at X times --lr",
            above=0,
            most=1000,
            auto=True,
        ),
    ] = AUTO
    ngram_lr: Annotated[
        float, Setting("learning rate of the vectors of n-grams", above=0, most=1e4, auto=True)
    ] = AUTO
    schedule: Annotated[
        str,
        Setting("course of the learning rate", choices=tuple(registry.SCHEDULES), auto=True),
    ] = AUTO
    warmup_steps: Annotated[
        int, Setting("steps of linear warm-up", least=0, most=1e9, auto=True)
    ] = AUTO
    clip_norm: Annotated[
        float | None, Setting("longest gradient, by its norm", above=0, most=1e9, none=True)
    ] = 1.0
    ema: Annotated[
        float | None,
        Setting(
            "decay of an exponential average of the weights, to be used in their place",
            above=0,
            below=1,
            none=True,
        ),
    ] = None
    softmax_sample: Annotated[
        int | None,
        Setting(
            "of a large vocabulary learn about so many tokens a step, drawn anew (none: all)",
            least=1,
            most=2**31,
            none=True,
            auto=True,
        ),
    ] = AUTO
    batch_size: Annotated[
        int, Setting("streams read side by side", least=1, most=1e6, auto=True)
    ] = AUTO
    bptt: Annotated[
        int, Setting("time steps of truncated back-propagation", least=1, most=1e6, auto=True)
    ] = AUTO
    variable_bptt: Annotated[
        bool, Setting("draw the length of each window around --bptt, and scale its rate")
    ] = False
    precision: Annotated[
        str,
        Setting(
            "of the matrix products; auto: bf16 to train with where it is right and faster here, "
            "fp32 to read with",
            choices=("auto", "fp32", "bf16"),
        ),
    ] = "auto"
    kernel: Annotated[
        str, Setting("how a sequence is run", choices=("auto", "fused", "reference"))
    ] = "auto"
    threads: Annotated[
        int, Setting("CPU threads", least=1, most=1024, auto=True, identity=False)
    ] = AUTO
    device: Annotated[
        str,
        Setting(
            "where to compute; auto: training on a GPU where there is one, reading on the CPU",
            choices=("auto", "cpu", "cuda"),
            identity=False,
        ),
    ] = "auto"
    seed: Annotated[int, Setting("of every random choice", least=0, most=2**63 - 1)] = 1


@dataclass(frozen=True)
class Budget:
    """How long to train; the first limit reached ends the run."""

    epochs: Annotated[
        float | None,
        Setting("passes over the training text", above=0, most=1e9, none=True, identity=False),
    ] = None
    steps: Annotated[
        int | None, Setting("updates of the weights", least=1, most=1e12, none=True, identity=False)
    ] = None
    minutes: Annotated[
        float | None,
        Setting(
            "from the start of the command to the final save (5 if no limit is given)",
            above=0,
            most=1e6,
            none=True,
            auto=True,
            identity=False,
        ),
    ] = AUTO
    patience: Annotated[
        int | None,
        Setting(
            "evaluations without a better one before stopping",
            least=1,
            most=1e9,
            none=True,
            identity=False,
        ),
    ] = None
    eval_every: Annotated[
        int,
        Setting("steps between evaluations", least=1, most=1e12, auto=True, identity=False),
    ] = AUTO
    report_every: Annotated[
        int, Setting("steps between reports", least=1, most=1e12, auto=True, identity=False)
    ] = AUTO
    save_every: Annotated[
        float, Setting("seconds between checkpoints", least=0, most=1e9, identity=False)
    ] = 30.0
    tensorboard: Annotated[
        bool, Setting("write every report for TensorBoard too", identity=False)
    ] = False


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run does."""

    corpus: Corpus = field(default_factory=Corpus)
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    model: Model = field(default_factory=Model)
    regularisation: Regularisation = field(default_factory=Regularisation)
    optimisation: Optimisation = field(default_factory=Optimisation)
    budget: Budget = field(default_factory=Budget)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """A copy with dotted keys replaced; the values are taken as they are."""
        sections: dict[str, dict[str, Any]] = {}
        for key, value in values.items():
            section, name = key.split(".")
            sections.setdefault(section, {})[name] = value
        changed = {name: replace(getattr(self, name), **new) for name, new in sections.items()}
        return replace(self, **changed)

    def get(self, key: str) -> Any:
        """The value of a dotted key."""
        section, name = key.split(".")
        return getattr(getattr(self, section), name)

    def rate(self, name: str) -> float:
        """A dropout rate times the factor `--dropout`, below 1; 0 where it is not resolved, as
        in runs older than the setting."""
        given = getattr(self.regularisation, name)
        # The factor alone takes none beyond 0.95.
        factor = self.regularisation.dropout
        return 0.0 if given == AUTO else min(given * factor, max(given, 0.95))

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Where the clusters of an adaptive softmax begin; () without one."""
        given = self.model.cutoffs
        return () if given == AUTO else tuple(map(int, given.split(",")))

    @property
    def ngram_order(self) -> int:
        """1 where it is not resolved, as in runs older than the setting."""
        return 1 if self.model.ngram_order == AUTO else self.model.ngram_order

    @property
    def ngram_rows(self) -> int:
        """1 where there are no n-grams."""
        return 1 if self.model.ngram_rows == AUTO else self.model.ngram_rows

    @property
    def decoder_lr_factor(self) -> float:
        """1 where it is not resolved, as in runs older than the setting."""
        factor = self.optimisation.decoder_lr_factor
        return 1.0 if factor == AUTO else factor

    @property
    def zoneout(self) -> float:
        """The share of the old state that stays at each step (0 without zoneout)."""
        kind = self.regularisation.temporal_dropout_kind
        return self.rate("temporal_dropout") if kind == "zoneout" else 0.0


SETTINGS = fields_of(Config)
