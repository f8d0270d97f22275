"""Whether a run is whole: every part read, compared with its hashes and with the other parts.

Nothing is changed. Of what is wrong it is said what can be saved, and by which command.
"""

import os
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from charlm.classifier_settings import CLASSES, SECTION, ClassifierConfig
from charlm.classifying import labelled_cache
from charlm.classifying.kept_words import together_from
from charlm.classifying.loaded import class_names, network_of
from charlm.classifying.unlabelled import kept_semantics
from charlm.config import Config
from charlm.errors import CharlmError, Interrupted, RunError
from charlm.precedence import stored_configuration
from charlm.runs import checkpoint as checkpoints
from charlm.runs.directory import LANGUAGE_MODELS, RunDirectory, require_folder
from charlm.runs.export import StoredModel, read_model
from charlm.runs.manifest import written_by
from charlm.runs.metrics import damaged_lines, read_metrics
from charlm.storage.reading import parse_toml
from charlm.text.direction import FORWARD
from charlm.text.token_cache import TokenCache
from charlm.text.tokenizers.base import load_tokenizer

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One part of a run. `wrong`: None where it is whole; `remedy`: what can be saved, and how."""

    name: str
    wrong: str | None = None
    remedy: str | None = None
    written_by: str | None = None  # the version of charlm, where the part says so


@dataclass(frozen=True)
class Verification:
    """What was found. `readable`: it can write, measure and score; `resumable`: train on."""

    run: str
    kind: str
    parts: list[Part]
    readable: bool
    resumable: bool

    @property
    def damaged(self) -> list[Part]:
        return [part for part in self.parts if part.wrong is not None]

    def as_dict(self) -> dict[str, Any]:
        """The keys of `charlm verify --json`."""
        return {"whole": not self.damaged} | asdict(self)


def verify(path: str | Path) -> Verification:
    """Read and compare all of a run, or of an exported file. RunError where there is none."""
    if os.path.isfile(path):
        remedy = f"charlm export RUN {shlex.quote(str(path))}"
        part = _part("model", lambda: network_of(read_model(path)).check(), remedy)
        return Verification(str(path), "file", [part], part.wrong is None, False)
    run = RunDirectory.open(path)
    found = _of_run(run)
    for name in LANGUAGE_MODELS:
        if os.path.lexists(run.path / name):
            found = _with_language_model(found, run, name)
    return found


def _with_language_model(found: Verification, run: RunDirectory, name: str) -> Verification:
    """A classifier's run with the language model `name` that it began with, a run inside it.

    It goes on without that model's weights where it has a checkpoint of its own.
    """
    nested = RunDirectory(run.path / name)
    inner = _of_run(nested) if os.path.lexists(nested.config_path) else _of_cache(nested, run)
    whole = {part.name for part in inner.parts if part.wrong is None}
    finished = nested.summary_path.exists() and "summary" in whole
    needed = finished and (inner.readable or os.path.lexists(run.checkpoints / "last"))
    return replace(
        found,
        parts=[*found.parts, *(replace(part, name=f"{name}: {part.name}") for part in inner.parts)],
        resumable=found.resumable and (needed or inner.resumable),
    )


def _of_cache(nested: RunDirectory, run: RunDirectory) -> Verification:
    """A language model of which there is only the text, in the tokens of the run around it."""

    def check() -> None:
        require_folder(nested.path)
        TokenCache.open(nested.cache).verify(None, run.read_tokenizer())

    part = _part("token cache", check, _remade(nested, "cache"))
    return Verification(str(nested.path), "run", [part], False, part.wrong is None)


def _of_run(run: RunDirectory) -> Verification:
    config, tokenizer = _read(lambda: _config(run)), _read(run.read_tokenizer)
    again = _resumed(run, before=f"rm -f {_word(run.summary_path)}")
    needed = [
        _part("configuration", config, "Restore config.toml from a copy."),
        _part(
            "tokenizer",
            lambda: load_tokenizer(tokenizer()),
            _remade(run, "tokenizer"),
            run.tokenizer,
        ),
    ]
    comparable = all(part.wrong is None for part in needed)
    steps = _checkpoints(run, tokenizer if comparable else None)
    links = _links(run, [step for step, part in steps.items() if part.wrong is None])
    to_go_on = [
        _part("token cache", lambda: _check_cache(run, config, tokenizer), _remade(run, "cache")),
        _part("metrics", lambda: read_metrics(run.metrics_path), _without_damaged_lines(run)),
        _part("summary", run.read_summary, again),
    ]
    if os.path.lexists(run.semantics):
        remade = _remade(run, run.semantics.name)
        to_go_on.append(
            _part("latent semantics", lambda: kept_semantics(run), remade, run.semantics)
        )
    read = links.get("best", links["last"])
    readable = comparable and read.wrong is None
    begins = comparable and not steps and not os.path.lexists(run.checkpoints / "last")
    resumable = all(part.wrong is None for part in to_go_on) and (
        begins or (readable and links["last"].wrong is None)
    )
    parts = [*needed, *steps.values(), *links.values(), *to_go_on]
    if os.path.lexists(run.together):  # written anew at every end
        parts.append(_part("together", partial(_check_together, run), again, run.together))
    return Verification(str(run.path), "run", parts, readable, resumable)


def _check_together(run: RunDirectory) -> None:
    names = class_names(parse_toml(run.config_text, run.config_path), run.config_path)
    together_from(run.read_together(), len(names), run.together)


def _part(name: str, read: Callable[[], Any], remedy: str, folder: Path | None = None) -> Part:
    """The part that `read` reads, with the error it raises. `folder`: where its manifest is."""
    by = None if folder is None else written_by(folder)
    try:
        read()
    except Interrupted:
        raise
    except CharlmError as error:
        return Part(name, error.what, remedy, by)
    return Part(name, written_by=by)


def _read(read: Callable[[], T]) -> Callable[[], T]:
    """What `read` gives, or the error it raises, whenever it is asked for, read once."""
    try:
        value = read()
    except Interrupted:
        raise
    except CharlmError as error:
        raised = error

        def fail() -> T:
            raise raised

        return fail
    return lambda: value


def _word(path: Path) -> str:
    return shlex.quote(str(path))


def _remade(run: RunDirectory, name: str) -> str:
    """The text and the settings give the same tokenizer and the same tokens again."""
    here = _word(run.path)
    again = f"from the same text: charlm train TEXT --config {here}/config.toml"
    made = name
    nested = run.path.name in LANGUAGE_MODELS and _is_classifier(RunDirectory(run.path.parent))
    if nested or _is_classifier(run):
        again = (
            "from the same table, with the options that the run was made with: "
            "charlm finetune-classify RUN DATA"
        )
        made = f"{run.path.name}/{name}" if nested else name
    return (
        f"Make it again {again} --out NEW --steps 1 && rm -rf {here}/{name} "
        f"&& cp -a NEW/{made} {here}/"
    )


def _resumed(run: RunDirectory, before: str = "") -> str:
    verb = "finetune-classify" if _is_classifier(run) else "train"
    again = f"charlm {verb} --resume --out {_word(run.path)}"
    return f"{before} && {again}" if before else again


def _is_classifier(run: RunDirectory) -> bool:
    if os.path.lexists(run.cache / labelled_cache.LABELS):
        return True
    try:
        return SECTION in parse_toml(run.config_text, run.config_path)
    except CharlmError:
        return False


def _without_damaged_lines(run: RunDirectory) -> str:
    lines = "".join(f"{number}d;" for number in damaged_lines(run.metrics_path))
    return f"Leave them out: sed -i.bak '{lines}' {_word(run.metrics_path)}"


def _config(run: RunDirectory) -> Config:
    tree = parse_toml(run.config_text, run.config_path)
    kind: type[Config] = Config
    if SECTION in tree:
        kind = ClassifierConfig
        tree.pop(CLASSES, None)
    try:
        return stored_configuration(tree, str(run.config_path), kind)
    except RunError as error:
        raise RunError(error.what) from error


def _checkpoints(
    run: RunDirectory, tokenizer: Callable[[], dict[str, bytes]] | None
) -> dict[int, Part]:
    """Every checkpoint by its step, compared with the configuration and the tokenizer where
    those are known."""
    found = {}
    for step in checkpoints.steps(run):
        folder = run.checkpoints / str(step)
        check = partial(_check_checkpoint, run, step, tokenizer)
        part = _part(f"checkpoint {step}", check, "", folder)
        # A process that trains this run may have removed it meanwhile.
        if part.wrong is None or folder.exists():
            found[step] = part
    return found


def _check_checkpoint(
    run: RunDirectory, step: int, tokenizer: Callable[[], dict[str, bytes]] | None
) -> None:
    found = checkpoints.load(run, step)
    if tokenizer is None:
        return
    config = parse_toml(run.config_text, run.config_path)
    for group in ("weights", *({"raw"} & found.groups.keys())):
        arrays = found.groups.get(group, {})
        stored = StoredModel("run", config, tokenizer(), arrays, step, found.path, {})
        network_of(stored).check()
    weights = found.groups["weights"]
    for name, array in found.groups.get("optimizer", {}).items():
        weight = weights.get(name.rpartition("/")[0])
        # One number for each weight, for each row of a table, or for all.
        if weight is None or array.shape not in (weight.shape, weight.shape[:1], ()):
            raise RunError(f"{found.path}: the optimiser's {name[:100]!r} fits no weight")


def _links(run: RunDirectory, whole: list[int]) -> dict[str, Part]:
    """`last`, and `best` where there is one. `whole`: the steps of the whole checkpoints."""
    found = {}
    for name in ("last", "best"):
        remedy = "Restore a checkpoint from a copy, or train again with --force."
        if whole:
            remedy = f"ln -sfn {whole[-1]} {_word(run.checkpoints / name)}"
        try:
            step = checkpoints.linked_step(run, name)
        except CharlmError as error:
            found[name] = Part(f"link {name}", error.what, remedy)
            continue
        if step in whole:
            found[name] = Part(f"link {name}")
        elif step is not None:
            wrong = f"{run.checkpoints / name} points to {step}, which is damaged or not there"
            found[name] = Part(f"link {name}", wrong, remedy)
        elif name == "last":
            found[name] = Part("link last", "there is no checkpoint yet", _resumed(run))
    return found


def _check_cache(
    run: RunDirectory, config: Callable[[], Config], tokenizer: Callable[[], dict[str, bytes]]
) -> None:
    found = config()
    if isinstance(found, ClassifierConfig):
        labelled_cache.open_texts(run.cache)  # each encoder turns the texts round for itself
        TokenCache.open(run.cache).verify(FORWARD, tokenizer())
    else:
        TokenCache.open(run.cache).verify(found.model.direction, tokenizer())
