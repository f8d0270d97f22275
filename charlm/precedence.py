"""How a configuration is put together: defaults < preset < file < options.

All problems of all sources are told at once. TOML in and out.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from charlm.config import SETTINGS, Config
from charlm.contradictions import contradictions, of_softmax
from charlm.errors import RunError, UsageError
from charlm.settings import AUTO, BadValue, Field, fields_of, nearest

Kind = TypeVar("Kind", bound=Config)

PRESETS = Path(__file__).parent / "presets"
# Without these nobody knows the network of a run. What else is `auto` in a run's configuration
# is not used by it, or younger than the run.
_SHAPES = tuple(
    f"model.{name}" for name in ("layers", "hidden_size", "embedding_size", "tie_weights")
)


ASSIGNED = "--set"  # the source of what it gives
# A place that gives one of them says when to end, and those of the places before are gone.
LIMITS = frozenset({"budget.epochs", "budget.steps", "budget.minutes"})


@dataclass(frozen=True)
class Layer:
    """Settings from one place: a preset, a file, or the command line."""

    source: str
    values: Mapping[str, Any]  # dotted key -> value as it was given


def build(layers: Iterable[Layer], resolved: bool = False, kind: type[Config] = Config) -> Config:
    """The configuration that the layers make, the later ones winning; of what ends a run, what
    the last place says that says anything of it.

    `resolved`: it is a run's own, where `auto` has given a value even to what is not used.
    Raises UsageError naming every problem of every layer at once.
    """
    config = kind()
    settings = fields_of(kind)
    values: dict[str, Any] = {}
    problems: list[str] = []
    limited_by = None
    for layer in layers:
        if any(layer.values.get(key) not in (None, "none") for key in LIMITS):
            if limited_by != ASSIGNED:  # --set and options are one place
                values = {key: value for key, value in values.items() if key not in LIMITS}
            limited_by = layer.source
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
        problems += of_softmax(config, resolved=True)
    else:
        problems += contradictions(config)
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
    except ValueError as error:  # or a number of more digits than Python reads
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
    return Layer(ASSIGNED, values)


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
