"""How a configuration is put together: defaults < preset < file < options.

All problems of all sources are told at once. TOML in and out.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from charlm import registry
from charlm.config import SETTINGS, Config
from charlm.errors import RunError, UsageError
from charlm.settings import AUTO, BadValue, Field, fields_of, nearest

Kind = TypeVar("Kind", bound=Config)

PRESETS = Path(__file__).parent / "presets"
# Without these nobody knows the network of a run. What else is `auto` in a run's configuration
# is not used by it, or younger than the run.
_SHAPES = tuple(
    f"model.{name}" for name in ("layers", "hidden_size", "embedding_size", "tie_weights")
)
OWN_WARM_UP = ("one-cycle", "stlr")  # schedules that begin low


@dataclass(frozen=True)
class Layer:
    """Settings from one place: a preset, a file, or the command line."""

    source: str
    values: Mapping[str, Any]  # dotted key -> value as it was given


def build(layers: Iterable[Layer], resolved: bool = False, kind: type[Config] = Config) -> Config:
    """The configuration that the layers make, the later ones winning.

    `resolved`: it is a run's own, where `auto` has given a value even to what is not used.
    Raises UsageError naming every problem of every layer at once.
    """
    config = kind()
    settings = fields_of(kind)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for layer in layers:
        for key, given in layer.values.items():
            entry = settings.get(key)
            if entry is None:
                problems.append(f"{layer.source}: no setting {key}{nearest(key, list(settings))}")
                continue
            try:
                values[key] = entry.setting.read(given, entry.kind)
            except BadValue as error:
                name = entry.option if layer.source == "options" else f"{layer.source}: {key}"
                problems.append(f"{name} is {given}; needed: {error}")
    config = config.with_values(values)
    if resolved:
        problems += [
            f"{key} is auto; needed: {entry.setting.needed(entry.kind)}, chosen"
            for key, entry in ((key, SETTINGS[key]) for key in _SHAPES)
            if config.get(key) == AUTO
        ]
    else:
        problems += _contradictions(config)
    if problems:
        raise UsageError("\n".join(problems), "`--help` shows every setting with its range.")
    return config


def stored_configuration(tree: Mapping[str, Any], where: str, kind: type[Kind]) -> Kind:
    """The configuration that a run or an exported file holds. RunError where it is none."""
    values = {
        f"{section}.{name}": value
        for section, entries in tree.items()
        if isinstance(entries, Mapping)
        for name, value in entries.items()
    }
    try:
        found = build([Layer(where, values)], resolved=True, kind=kind)
    except UsageError as error:
        raise RunError(error.what, "The run was changed; restore it from a copy.") from error
    assert isinstance(found, kind)
    return found


def _contradictions(config: Config) -> list[str]:
    """What no setting says alone: an option that the rest cannot use."""
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
    if reg.temporal_dropout == 0:
        for name in ("temporal_dropout_kind", "temporal_dropout_mask"):
            if getattr(reg, name) != AUTO:
                found.append(f"--{name.replace('_', '-')} is given, but --temporal-dropout is 0")
    if reg.temporal_dropout_mask != AUTO and reg.temporal_dropout_kind not in (AUTO, "variational"):
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
    if corpus.valid is None and corpus.valid_fraction == 0:
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
            "--temporal-dropout-kind": reg.temporal_dropout_kind != AUTO,
            "--temporal-dropout-mask": reg.temporal_dropout_mask != AUTO,
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
        given = {"--ngram-rows": m.ngram_rows, "--ngram-lr": config.optimisation.ngram_lr}
        found += [f"{o} is given, but --ngram-order is 1" for o, v in given.items() if v != AUTO]
    if m.ngram_rows != AUTO and m.ngram_rows & (m.ngram_rows - 1):
        found.append(f"--ngram-rows is {m.ngram_rows}; needed: a power of two")
    return found


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


def named_settings(settings: Mapping[str, Any], kind: type[Config]) -> Layer:
    """Settings by the names of their options. UsageError: a name that none has."""
    keys = {field.name: key for key, field in fields_of(kind).items()}
    for name in settings.keys() - keys.keys():
        raise UsageError(f"there is no setting {name}{nearest(name, list(keys))}")
    values = {
        keys[name]: str(value) if isinstance(value, Path) else value
        for name, value in settings.items()
    }
    return Layer("options", values)


def read_toml(text: str, source: str) -> Layer:
    """A TOML configuration as a layer. Raises UsageError where it is not TOML."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not TOML: {error}", "Mend the line it names.") from error
    except RecursionError as error:
        raise UsageError(f"{source} is nested too deeply", "Write it plainly.") from error
    values: dict[str, Any] = {}
    for section, entries in tree.items():
        if isinstance(entries, dict):
            values.update({f"{section}.{name}": value for name, value in entries.items()})
        else:
            values[section] = entries
    return Layer(source, values)


def read_file(path: Path) -> Layer:
    """`--config FILE.toml`."""
    try:
        return read_toml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} cannot be read: {error}") from error


def read_preset(name: str) -> Layer:
    """`--preset NAME`, one of the files in presets/."""
    names = sorted(path.stem for path in PRESETS.glob("*.toml"))
    if name not in names:
        raise UsageError(
            f"--preset {name} does not exist{nearest(name, names)}",
            "There are: " + ", ".join(names),
        )
    return read_toml((PRESETS / f"{name}.toml").read_text("utf-8"), f"preset {name}")


def read_assignments(assignments: Iterable[str]) -> Layer:
    """`--set section.key=value`, any number of times."""
    values = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment} has no '='", "Write --set section.key=value.")
        values[key.strip()] = value.strip()
    return Layer("--set", values)


def to_toml(config: Config) -> str:
    """The configuration as TOML that `read_toml` reads back to the same."""
    import tomli_w

    tree = asdict(config)
    for section in tree.values():
        for name, value in section.items():
            section[name] = "none" if value is None else value
    return tomli_w.dumps(tree)


def differing(stored: Config, given: Config, keys: Iterable[str]) -> list[Field]:
    """The settings among `keys` (those a person gave) in which `given` differs from `stored`.

    Only what makes a run what it is counts: budget, threads and reports may change.
    """
    settings = fields_of(type(stored))
    return [
        settings[key]
        for key in keys
        if settings[key].setting.identity
        and given.get(key) != AUTO
        and given.get(key) != stored.get(key)
    ]
