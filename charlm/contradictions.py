"""What no setting says alone: options that the rest of a configuration cannot use."""

from dataclasses import asdict

from charlm import registry
from charlm.config import SETTINGS, Config
from charlm.settings import AUTO

OWN_WARM_UP = ("one-cycle", "stlr")  # schedules that begin low
# What `auto` becomes for these whatever the rest says, so that a resolved configuration may be
# given again: they ask for nothing.
USUAL = {"temporal_dropout_kind": "variational", "temporal_dropout_mask": "shared"}


def contradictions(config: Config) -> list[str]:
    """What is wrong with a configuration that is not resolved yet, in words."""
    found = []
    corpus, reg = config.corpus, config.regularisation
    for part in ("valid", "test"):
        fraction = f"{part}_fraction"
        default = SETTINGS[f"corpus.{fraction}"].default
        if getattr(corpus, part) is not None and getattr(corpus, fraction) != default:
            found.append(f"--{part} is given, and --{part}-fraction too: give one of them")
    shares = [
        0 if getattr(corpus, part) is not None else getattr(corpus, f"{part}_fraction")
        for part in ("valid", "test")
    ]
    if sum(shares) >= 1:
        found.append(
            f"--valid-fraction {corpus.valid_fraction:g} and --test-fraction "
            f"{corpus.test_fraction:g} leave nothing to train on; needed: a sum below 1"
        )
    t = config.tokenizer
    usable = {"tokenizer", "lowercase", *registry.TOKENIZER_SETTINGS[t.tokenizer]}
    found += [
        f"--{name.replace('_', '-')} means nothing to --tokenizer {t.tokenizer}"
        for name, value in asdict(t).items()
        if value != AUTO and name not in usable
    ]
    found += _unused_by_cell(config)
    found += _of_ngrams(config)
    found += of_softmax(config)
    if reg.temporal_dropout == 0:
        for name, usual in USUAL.items():
            if getattr(reg, name) not in (AUTO, usual):
                found.append(f"--{name.replace('_', '-')} is given, but --temporal-dropout is 0")
    own_mask = reg.temporal_dropout_mask not in (AUTO, USUAL["temporal_dropout_mask"])
    if own_mask and reg.temporal_dropout_kind not in (AUTO, USUAL["temporal_dropout_kind"]):
        found.append(
            f"--temporal-dropout-mask belongs to --temporal-dropout-kind variational, "
            f"not to {reg.temporal_dropout_kind}"
        )
    if config.model.layers == 1 and reg.inter_layer_dropout not in (AUTO, 0):
        found.append("--inter-layer-dropout needs at least two layers; --layers is 1")
    m = config.model
    if m.layers == 1 and m.last_hidden_size not in (AUTO, m.hidden_size):
        found.append(
            f"--last-hidden-size is {m.last_hidden_size}, and the one of --layers 1 has "
            f"--hidden-size {m.hidden_size}"
        )
    b, o = config.budget, config.optimisation
    if without_validation(config):
        found += [
            f"{option} needs a validation text; --valid-fraction is 0 and there is no --valid"
            for option in needing_validation(config)
        ]
    if reg.temporal_activation_penalty and o.bptt == 1:
        found.append("--temporal-activation-penalty compares time steps, and --bptt 1 has one")
    if o.ema is not None and o.optimizer == "nt-asgd":
        found.append("--ema is given, but --optimizer nt-asgd has an average of its own")
    if o.schedule in OWN_WARM_UP and o.warmup_steps not in (AUTO, 0):
        found.append(f"--warmup-steps is given, but --schedule {o.schedule} warms up by itself")
    if b.epochs is None and b.steps is None and b.minutes is None:
        found.append("--minutes none without --epochs or --steps leaves no end to the training")
    return found


# What one cell alone can use. As a table, since the cells themselves import NumPy.
_WITHOUT_RECURRENCE = ("feedforward", "conv")
_OF_CELL = {
    "nonlinearity": ("rnn", *_WITHOUT_RECURRENCE),
    "forget_bias": ("lstm",),
    "context": _WITHOUT_RECURRENCE,
}


def _unused_by_cell(config: Config) -> list[str]:
    model, reg = config.model, config.regularisation
    found = [
        f"{SETTINGS[f'model.{name}'].option} belongs to --cell {' or '.join(cells)}, not to "
        f"{model.cell}"
        for name, cells in _OF_CELL.items()
        if getattr(model, name) != AUTO and model.cell not in cells
    ]
    if model.cell in _WITHOUT_RECURRENCE:
        given = {
            "--init": model.init != SETTINGS["model.init"].default,
            "--temporal-dropout": reg.temporal_dropout not in (AUTO, 0),
        } | {
            f"--{name.replace('_', '-')}": getattr(reg, name) not in (AUTO, usual)
            for name, usual in USUAL.items()
        }
        found += [
            f"{option} is about connections through time, and --cell {model.cell} has none"
            for option, there in given.items()
            if there
        ]
    if model.cell == "feedforward":
        given = {
            "--layers": model.layers not in (AUTO, 1),
            "--inter-layer-dropout": reg.inter_layer_dropout not in (AUTO, 0),
            "--last-hidden-size": model.last_hidden_size not in (AUTO, model.hidden_size),
        }
        found += [
            f"{option} is given, and --cell feedforward has one hidden layer (conv is stacked)"
            for option, there in given.items()
            if there
        ]
    if not model.bias and model.forget_bias != AUTO:
        found.append("--forget-bias is given, and --no-bias leaves no bias to start anywhere")
    return found


def _of_ngrams(config: Config) -> list[str]:
    m, found = config.model, []
    if m.ngram_order == 1:
        given = {
            "--ngram-rows": m.ngram_rows not in (AUTO, 1),
            "--ngram-lr": config.optimisation.ngram_lr != AUTO,
        }
        found += [f"{o} is given, but --ngram-order is 1" for o, there in given.items() if there]
    if m.ngram_rows != AUTO and m.ngram_rows & (m.ngram_rows - 1):
        found.append(f"--ngram-rows is {m.ngram_rows}; needed: a power of two")
    return found


def of_softmax(config: Config, resolved: bool = False) -> list[str]:
    """What is wrong with the layer onto the vocabulary."""
    m = config.model
    if m.softmax != "adaptive":
        return [] if m.cutoffs == AUTO else ["--cutoffs is given, and --softmax is not adaptive"]
    found = []
    if config.optimisation.softmax_sample not in (AUTO, None):
        found.append("--softmax-sample draws out of all tokens: it needs --softmax full")
    if m.tie_weights is True:
        found.append(
            "--tie-weights decodes with the embedding's vectors, and those of --softmax adaptive "
            "have other sizes"
        )
    if resolved and m.cutoffs == AUTO:
        found.append("--cutoffs is auto; needed: rising whole numbers, chosen")
    return found


def without_validation(config: Config) -> bool:
    """Whether nothing is there to validate on."""
    return config.corpus.valid is None and config.corpus.valid_fraction == 0


def needing_validation(config: Config) -> list[str]:
    """The options of a configuration that mean nothing without a validation text."""
    b, o = config.budget, config.optimisation
    given = {
        "--patience": b.patience is not None,
        "--eval-every": b.eval_every != AUTO,
        "--optimizer nt-asgd": o.optimizer == "nt-asgd",
        "--schedule plateau": o.schedule == "plateau",
    }
    return [option for option, there in given.items() if there]
