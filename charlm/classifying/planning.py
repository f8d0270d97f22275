"""What a classifier's run will be: its configuration, put together and read back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import tomli_w

from charlm.classifier_settings import CLASSES, SECTION, UNUSED, ClassifierConfig
from charlm.classifying import sizing
from charlm.classifying.labelled_cache import LabelledTexts
from charlm.classifying.network import classifier_architecture
from charlm.config import SETTINGS, Budget, Config, Optimisation, Regularisation
from charlm.errors import RunError, UsageError
from charlm.loaded import Model as LoadedModel
from charlm.planning import resolve as resolve_sizes
from charlm.precedence import build, read_toml, stored_configuration, to_toml
from charlm.runs.directory import RunDirectory
from charlm.settings import AUTO
from charlm.storage.reading import parse_toml
from charlm.text.sources import STDIN
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import Tokenizer
from charlm.training.sizing import Choice
from charlm.training.usual_rates import usual_rate
from charlm.transfer import adopted

RUN = "RUN"  # how the command names the run to start from, which is no option there
_LM_SHARE = 0.4  # of --minutes
_LM_LR = 0.25  # of the rate at which such a network would learn from the beginning


def check(config: ClassifierConfig, given: Sequence[str]) -> None:
    """UsageError for what no setting says alone."""
    c, pretrained = config.classifier, config.model.init_from is not None
    problems = [
        f"{SETTINGS[key].option} is given, and a classifier has no use for it"
        for key in given
        if key in UNUSED
    ]
    if c.bidirectional and (pretrained or c.backward is not None):
        problems.append(
            "--bidirectional is of RUN none: a run reads one way; --backward RUN adds another"
        )
    if c.bidirectional and c.lm_epochs not in (AUTO, 0):
        problems.append("--bidirectional reads both ways, and --lm-epochs trains a model of one")
    if config.optimisation.batch_size == 1:
        problems.append("--batch-size is 1, and a head learns what tells two texts or more apart")
    if c.backward is not None and not pretrained:
        problems.append("--backward is given, and RUN is none: use --bidirectional")
    if not c.gradual_unfreezing and c.unfreeze_every != AUTO:
        problems.append("--unfreeze-every is given, and --gradual-unfreezing is not")
    if pretrained:
        problems += [
            f"--{key.split('.')[1].replace('_', '-')} is given, and RUN has its tokenizer"
            for key in given
            if key.startswith("tokenizer.")
        ]
    if c.lm_loss == 0 and not pretrained and c.lm_epochs in (AUTO, 0):
        problems += [
            "--tie-weights is of the layer onto the vocabulary, which only --lm-epochs and "
            "--lm-loss have a use for"
            for key in given
            if key == "model.tie_weights"
        ]
    no_lm = c.lm_epochs == 0 or (c.lm_epochs == AUTO and not pretrained)
    for name in ("lm_text", "lm_lr"):
        if f"classifier.{name}" in given and no_lm:
            problems.append(f"--{name.replace('_', '-')} is given, and --lm-epochs is 0")
    if c.unlabelled_text not in (AUTO, None) and not c.baseline:
        problems.append("--unlabelled-text is given, and --no-baseline counts no words")
    problems += [
        f"--{name.replace('_', '-')} is -, and only labelled texts can be standard input"
        for name in ("unlabelled_text", "lm_text")
        if getattr(c, name) == STDIN
    ]
    if problems:
        raise UsageError("; ".join(problems), "`charlm finetune-classify --help` explains each.")


def adopted_by(
    config: ClassifierConfig, given: Sequence[str], sources: list[LoadedModel]
) -> ClassifierConfig:
    """The configuration with what the run to start from decides. UsageError: two that differ."""
    if not sources:
        return config
    config = cast(ClassifierConfig, adopted(config, given, sources[0], named=RUN))
    if len(sources) == 2:
        kinds = [source.config.tokenizer.tokenizer for source in sources]
        if kinds[0] != kinds[1]:
            raise UsageError(
                f"RUN and --backward RUN have tokens of other kinds: {kinds[0]} and {kinds[1]}",
                "Train both with the same --tokenizer.",
            )
        first, second = (source.config.model for source in sources)
        shapes = [
            replace(
                shape,
                init_from=None,
                init="",
                forget_bias=AUTO,
                direction="",
                last_hidden_size=shape.hidden_size
                if shape.last_hidden_size == AUTO
                else shape.last_hidden_size,
            )
            for shape in (first, second)
        ]
        if shapes[0] != shapes[1]:
            raise UsageError(
                "RUN and --backward RUN have networks of other sizes",
                "Train both with the same --cell, --layers, --hidden-size and --embedding-size.",
            )
        if first.direction == second.direction:
            raise UsageError(
                f"RUN and --backward RUN both read {first.direction}",
                "Train one with --direction backward.",
            )
    return config


@dataclass(frozen=True)
class ClassifierPlan:
    """A resolved configuration, and the reasons for what was chosen."""

    config: ClassifierConfig
    choices: list[Choice]
    parameters: int
    classes: tuple[str, ...]


def resolve(
    config: ClassifierConfig,
    texts: LabelledTexts,
    lm_tokens: int,
    cache: TokenCache,
    tokenizer: Tokenizer,
) -> ClassifierPlan:
    """Numbers in place of every `auto`; `cache` holds the texts."""
    lengths = texts.lengths("train")
    if config.model.layers == AUTO:
        two = config.regularisation.inter_layer_dropout not in (AUTO, 0)
        config = config.with_values({"model.layers": 2 if two else 1})
    facts = sizing.ClassifierFacts(
        lengths, lm_tokens, config.model.init_from is not None, "valid" in cache.parts
    )
    config, own = sizing.resolve(config, facts)
    if config.model.init_from is None and not config.classifier.lm_epochs:
        # Their vectors are learned by a language model.
        config = config.with_values({"model.ngram_order": 1})
    given = config.optimisation
    # The sizes of the network and what the machine is good at, as for any run; streams, windows
    # and the rate are those of a language model there.
    free = config.with_values({"optimisation.batch_size": AUTO, "optimisation.bptt": AUTO})
    found = resolve_sizes(free, cache, tokenizer)
    config = cast(ClassifierConfig, found.config).with_values(
        {"optimisation.batch_size": given.batch_size, "optimisation.bptt": given.bptt}
    )
    if given.lr == AUTO:
        own.append(sizing.rate(given.optimizer, config.model.hidden_size))
        config = config.with_values({own[-1].key: own[-1].value})
    if config.classifier.lm_epochs and config.classifier.lm_lr == AUTO:
        begins = config.model.init_from is None
        sampled = config.optimisation.softmax_sample is not None
        passes = config.classifier.lm_epochs if begins and sampled else 0.0
        lr = usual_rate("adamw", config.model, passes)[0] * (1 if begins else _LM_LR)
        value = float(f"{lr:.2g}")
        reason = "of the language model" + ("" if begins else ", which has learned before")
        config = config.with_values({"classifier.lm_lr": value})
        own.append(Choice("classifier.lm_lr", value, reason))
    others = ("optimisation.batch_size", "optimisation.bptt", "optimisation.lr", *UNUSED)
    choices = [choice for choice in found.choices if choice.key not in others] + own
    network = classifier_architecture(config, len(texts.classes), tokenizer)
    return ClassifierPlan(config, choices, network.parameters(), texts.classes)


def language_model_config(config: ClassifierConfig, source: str | None, direction: str) -> Config:
    """Of the run that fine-tunes the language model before the classifier learns."""
    o, r, b, c = config.optimisation, config.regularisation, config.budget, config.classifier
    readers = 1 if c.backward is None else 2
    return Config(
        tokenizer=config.tokenizer,
        model=replace(config.model, init_from=source, direction=direction)
        if source is not None
        else replace(config.model, direction=direction),
        optimisation=Optimisation(
            lr=c.lm_lr, schedule="stlr", seed=o.seed, threads=o.threads, device=o.device,
            precision=o.precision, kernel=o.kernel,
        ),
        # Part of what the network computes, when it is measured too.
        regularisation=replace(
            Regularisation(), temporal_dropout=r.temporal_dropout,
            temporal_dropout_kind=r.temporal_dropout_kind, dropout=r.dropout,
        )
        if config.zoneout
        else Regularisation(),
        budget=Budget(
            epochs=c.lm_epochs,
            minutes=None if b.minutes is None else b.minutes * _LM_SHARE / readers,
            save_every=b.save_every,
        ),
    )  # fmt: skip


def write_config(run: RunDirectory, config: ClassifierConfig, classes: Sequence[str]) -> None:
    """The configuration and the classes, which a classifier needs wherever it is taken."""
    names = tomli_w.dumps({CLASSES: {"names": list(classes)}})
    run.write_config(f"{to_toml(config)}\n{names}")


def refuse_curve(config: ClassifierConfig) -> None:
    """UsageError where the texts of a run do not come back whole from its tokens."""
    if config.tokenizer.word_oov == "unk":
        raise UsageError(
            "a learning curve reads the run's texts again from their tokens, and with --word-oov "
            "unk words are missing there",
            "Leave --word-oov unk out, or the learning curve.",
        )


def asked_config(run: RunDirectory) -> ClassifierConfig:
    """What was asked for when the run began, before `auto` became numbers."""
    layer = read_toml(run.asked_text, str(run.asked_path))
    return cast(ClassifierConfig, build([layer], kind=ClassifierConfig))


def stored_config(run: RunDirectory) -> ClassifierConfig:
    """The resolved configuration of a classifier's run. RunError: damaged, or of another run."""
    tree = parse_toml(run.config_text, run.config_path)
    if SECTION not in tree:
        raise RunError(
            f"{run.path} is a language model's run, and no classifier's",
            "Go on with it by `charlm train --resume`, or choose another --out.",
        )
    tree.pop(CLASSES, None)
    return stored_configuration(tree, str(run.path), ClassifierConfig)
