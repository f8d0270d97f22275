"""Checkpoints: immutable folders `checkpoints/<step>/`, reached through links.

Each holds a `<group>.safetensors` for every group of arrays (weights, optimizer,
carried), `state.json` and, written last, `manifest.json`. It is built under a hidden
name and appears whole, by one rename. Then the links are swapped, and only when they are
on disk are the checkpoints removed that no link points to: so at every moment the
checkpoint of the last finished save is whole.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from charlm.errors import CharlmError, DivergedError, RunError
from charlm.runs.directory import RunDirectory, require_folder
from charlm.runs.manifest import (
    MANIFEST,
    describe,
    manifest_bytes,
    read_files,
    read_manifest,
)
from charlm.runs.tensors import Tensors, decode, encode, first_not_finite
from charlm.storage.atomic import (
    is_stale_partial,
    machine_errors,
    partial_path,
    place_folder,
    remove,
    swap_link,
    write_new,
)
from charlm.storage.reading import damaged, parse_json

STATE = "state.json"
_SUFFIX = ".safetensors"
_STEP = re.compile(r"0|[1-9][0-9]{0,17}")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,40}")

Groups = Mapping[str, Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds: `groups[group][tensor]` and the JSON `state`."""

    step: int
    groups: dict[str, Tensors]
    state: dict[str, Any]
    path: Path


def save(
    run: RunDirectory,
    step: int,
    groups: Groups,
    state: Mapping[str, Any],
    link_names: Iterable[str] = ("last",),
) -> Path:
    """Makes `checkpoints/<step>/` and points the links to it; all on disk when it returns.

    The caller holds the run's lock. Links are swapped with `last` at the end, so that
    whoever resumes from it never lacks a `best` it has seen. If the step is already there
    with the same arrays, only the links are swapped. Raises DivergedError for NaN or
    infinity, MachineError naming the path that could not be written (the checkpoints the
    links point to are then whole), CharlmError for a state that JSON would not give back,
    or if a link outside `link_names` points to other arrays of this step.
    """
    links = sorted(link_names, key=lambda name: name == "last")
    assert step >= 0 and all(_WORD.fullmatch(name) for name in (*links, *groups))
    state_bytes = _state_bytes(state, run.checkpoints / str(step) / STATE)
    final = run.checkpoints / str(step)
    temporary = partial_path(final)
    with machine_errors(final, "write"):
        remove(temporary)
        try:
            os.mkdir(temporary)
            written = {}
            for group, tensors in groups.items():
                _require_finite(group, tensors, step)
                content = encode(tensors)
                write_new(temporary / (group + _SUFFIX), content)
                written[group + _SUFFIX] = describe(content)
            write_new(temporary / STATE, state_bytes)
            files = {**written, STATE: describe(state_bytes)}
            write_new(temporary / MANIFEST, manifest_bytes("checkpoint", files, step=step))
            if not _holds(final, written):
                _make_way(run, step, links)
                place_folder(temporary, final)
        finally:
            # After a success this is there only if the step was; if removing fails, the
            # next save tries again.
            with contextlib.suppress(OSError):
                remove(temporary)
    for name in links:
        swap_link(run.checkpoints / name, str(step))
    _tidy(run)
    return final


def _require_finite(group: str, tensors: Mapping[str, NDArray[Any]], step: int) -> None:
    name = first_not_finite(tensors)
    if name is not None:
        raise DivergedError(
            f"{group} {name!r} holds NaN or infinity at step {step}: it was not saved",
            "Go on from the last checkpoint at a lower --lr.",
        )


def _state_bytes(state: Mapping[str, Any], path: Path) -> bytes:
    """JSON that gives back exactly `state`: Python writes the shortest digits that do."""
    try:
        raw = (json.dumps(state, indent=1, allow_nan=False) + "\n").encode()
        same = parse_json(raw, path) == state
    except (TypeError, ValueError, RunError) as error:
        raise CharlmError(f"the state of {path} cannot be stored: {error}") from error
    if not same:
        raise CharlmError(f"the state of {path} would not be read back as it is")
    return raw


def _holds(folder: Path, files: Mapping[str, Any]) -> bool:
    """Whether `folder` is a whole checkpoint with exactly these arrays."""
    if not os.path.lexists(folder):
        return False
    try:
        found = _read_checkpoint(folder, groups=())
    except RunError:
        return False
    stored: dict[str, Any] = found[1]["files"]
    return {name: entry for name, entry in stored.items() if name != STATE} == dict(files)


def _make_way(run: RunDirectory, step: int, links: Iterable[str]) -> None:
    """Moves other content of this step aside: damaged, or saved but reached by no link.

    A save that died between its links leaves one of them pointing past `last`; that link
    goes back to `last` first, so that it never points to nothing, or where there is no `last`
    yet it goes.
    """
    final = run.checkpoints / str(step)
    last = linked_step(run, "last")
    for name in links:
        if linked_step(run, name) != step or last == step:
            continue
        if last is None:
            remove(run.checkpoints / name)
        else:
            swap_link(run.checkpoints / name, str(last))
    with contextlib.suppress(RunError):
        _read_checkpoint(final, groups=())
        if str(step) in _links(run.checkpoints).values():
            raise CharlmError(
                f"{final} already holds other arrays, and a link points to it",
                "A checkpoint is never changed: save the next one at a later step.",
            )
    remove(final)


def _links(checkpoints: Path) -> dict[str, str]:
    return {
        name: os.readlink(checkpoints / name)
        for name in os.listdir(checkpoints)
        if _WORD.fullmatch(name) and (checkpoints / name).is_symlink()
    }


def _tidy(run: RunDirectory) -> None:
    """Removes what no link points to, and temporaries of dead processes.

    The save is on disk already: what cannot be removed now is left to the next one.
    """
    with contextlib.suppress(OSError):
        keep = set(_links(run.checkpoints).values())
        for path in [*run.path.iterdir(), *run.checkpoints.iterdir()]:
            name = path.name
            if path.parent == run.checkpoints and _STEP.fullmatch(name) and name not in keep:
                # Renamed first: a half-removed folder must not look like a checkpoint.
                hidden = partial_path(path)
                os.rename(path, hidden)
                remove(hidden)
            elif is_stale_partial(name):
                remove(path)


def go_back(run: RunDirectory, name: str) -> None:
    """`last` points to the checkpoint of the link `name` again, and what came after it goes.

    So that steps after it can be saved anew. Raises MachineError; RunError if there is no link.
    """
    swap_link(run.checkpoints / "last", str(_resolve(run, name)))
    _tidy(run)


def linked_step(run: RunDirectory, name: str) -> int | None:
    """The step that the link `name` ("last", "best") points to; None if there is no link.

    Raises RunError if it is not a link to a checkpoint beside it.
    """
    require_folder(run.checkpoints)
    link = run.checkpoints / name
    try:
        target = os.readlink(link)
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = "Copy the run with its links: `cp -a` or `rsync -a`."
        raise damaged(link, "is not a link to a checkpoint", hint) from error
    if not _STEP.fullmatch(target):
        raise damaged(link, f"points to {target[:100]!r}, which is no checkpoint of this run")
    return int(target)


def steps(run: RunDirectory) -> list[int]:
    """The steps of all checkpoints there, whole or not, rising. RunError."""
    require_folder(run.checkpoints)
    return sorted(int(name) for name in os.listdir(run.checkpoints) if _STEP.fullmatch(name))


def load(
    run: RunDirectory | str | Path,
    which: str | int = "best-else-last",
    groups: Iterable[str] | None = None,
) -> Checkpoint:
    """The checkpoint `which`: a step, a link's name, or `best` if there is one, else `last`.

    `groups`: parse only these (None: all); every file is verified before any is parsed.
    A run that is being trained can be read: if its checkpoint is replaced meanwhile, the
    new one is read. Raises RunError naming the file that is missing, extra or damaged.
    """
    if not isinstance(run, RunDirectory):
        run = RunDirectory.open(run)
    wanted = None if groups is None else tuple(groups)
    step = _resolve(run, which)
    while True:
        try:
            return _load_step(run, step, wanted)
        except RunError:
            newer = _resolve(run, which)
            if newer == step:
                raise
            step = newer


def _resolve(run: RunDirectory, which: str | int) -> int:
    if isinstance(which, int):
        require_folder(run.checkpoints)
        return which
    names = ("best", "last") if which == "best-else-last" else (which,)
    for name in names:
        if not _WORD.fullmatch(name):
            raise RunError(f"{name[:100]!r} is no checkpoint", "Give best, last, or a step.")
        step = linked_step(run, name)
        if step is not None:
            return step
    raise RunError(
        f"{run.path} has no checkpoint {names[-1]!r} yet",
        "Train it on with --resume; the first checkpoint comes within half a minute.",
    )


def _load_step(run: RunDirectory, step: int, groups: tuple[str, ...] | None) -> Checkpoint:
    folder = run.checkpoints / str(step)
    contents, manifest = _read_checkpoint(folder, groups)
    if manifest.get("step") != step:
        raise damaged(folder / MANIFEST, f"is not the manifest of step {step}")
    arrays = {
        name.removesuffix(_SUFFIX): decode(content, folder / name)
        for name, content in contents.items()
        if name != STATE
    }
    return Checkpoint(step, arrays, parse_json(contents[STATE], folder / STATE), folder)


def _read_checkpoint(
    folder: Path, groups: tuple[str, ...] | None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The wanted files (None: all) and the manifest, every file verified."""
    require_folder(folder)
    manifest = read_manifest(folder, "checkpoint")
    for name in manifest["files"]:
        if name != STATE and not _WORD.fullmatch(name.removesuffix(_SUFFIX)):
            raise damaged(folder / MANIFEST, f"lists {name!r}, which no checkpoint has")
    wanted = None if groups is None else (STATE, *(group + _SUFFIX for group in groups))
    return read_files(folder, manifest, wanted), manifest
