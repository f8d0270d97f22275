"""What a person chooses about a classifier, beside what it shares with every run.

`ClassifierConfig` is the configuration of a classifier's run: that of any run, with a section
of its own. Importing this file imports nothing heavy.
"""

from dataclasses import dataclass, field
from typing import Annotated

from charlm import registry
from charlm.config import Config, Optimisation
from charlm.config_text import Tokenizer
from charlm.settings import AUTO, Setting

# Sections of config.toml: what makes a run a classifier's, and the names of its classes.
SECTION, CLASSES = "classifier", "classes"
# Of every run's settings, those that a classifier's has no use for: it begins with RUN, and its
# texts are read whole.
UNUSED = (
    "corpus.corpus", "corpus.canaries", "regularisation.activation_penalty",
    "regularisation.temporal_activation_penalty", "regularisation.reset_probability",
    "optimisation.variable_bptt", "optimisation.ngram_lr", "model.ngram_order", "model.ngram_rows",
    "optimisation.decoder_lr_factor", "optimisation.softmax_sample", "model.softmax",
    "model.cutoffs",
    "budget.tensorboard",
)  # fmt: skip


@dataclass(frozen=True)
class ClassifierSettings:
    """[classifier]: the recipe of Howard & Ruder (2018), each part of which can be left out.

    Two of its parts are not the defaults here, as they were measured to cost (scripts/LOG.md):
    gradual unfreezing, and rates that fall by 2.6 a layer.
    """

    lm_epochs: Annotated[
        float,
        Setting(
            "first go on training RUN on these texts, so many passes", least=0, most=1e6, auto=True
        ),
    ] = AUTO
    lm_lr: Annotated[float, Setting("peak learning rate of that", above=0, most=1e4, auto=True)] = (
        AUTO
    )
    lm_text: Annotated[str | None, Setting("more text for that, without labels", none=True)] = None
    unlabelled_text: Annotated[
        str | None,
        Setting(
            "text without labels, one a line or blank lines between: words that no labelled text "
            "has are known by the company they keep there, in `classify --together` (auto: "
            "--lm-text, and what RUN was trained on if that is there)",
            auto=True,
            none=True,
        ),
    ] = AUTO
    discriminative_lr: Annotated[
        float,
        Setting(
            "each layer below learns at a rate smaller by this factor (1: all alike)",
            least=1,
            most=1e6,
        ),
    ] = 1.0
    gradual_unfreezing: Annotated[
        bool,
        Setting("the head learns first, then one more layer at a time"),
    ] = False
    unfreeze_every: Annotated[
        int, Setting("steps until one more layer learns", least=1, most=1e9, auto=True)
    ] = AUTO
    pooling: Annotated[
        str,
        Setting("what is made of a text's outputs", choices=tuple(registry.POOLINGS)),
    ] = "concat"
    head_size: Annotated[
        int | None,
        Setting("hidden units of the head (none: one layer)", least=1, most=65536, none=True),
    ] = 50
    class_weights: Annotated[
        str,
        Setting(
            "balanced: rare classes count as much as frequent ones", choices=("none", "balanced")
        ),
    ] = "none"
    max_length: Annotated[
        int,
        Setting(
            "tokens of a text that are read, from its beginning", least=1, most=1e12, auto=True
        ),
    ] = AUTO
    lm_loss: Annotated[
        float,
        Setting(
            "weight of the loss of predicting the next token, beside the classes'",
            least=0,
            most=1e6,
        ),
    ] = 0.0
    backward: Annotated[
        str | None,
        Setting(
            "a run that reads from the end (or, beside one that does, from the beginning): "
            "both classify, and are averaged",
            none=True,
        ),
    ] = None
    bidirectional: Annotated[
        bool, Setting("of RUN none: a second stack of layers reads from the end")
    ] = False
    baseline: Annotated[
        bool, Setting("measure TF-IDF with logistic regression beside it", identity=False)
    ] = True


@dataclass(frozen=True)
class ClassifierConfig(Config):
    """Everything that decides what a classifier's run does."""

    tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer(tokenizer="word"))
    optimisation: Optimisation = field(default_factory=lambda: Optimisation(optimizer="adamw"))
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
