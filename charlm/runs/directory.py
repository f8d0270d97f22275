"""The run directory: where everything of one run is kept. It can be moved.

config.toml    metrics.jsonl    summary.json    samples/    .lock
tokenizer/     its files, and a manifest with their hashes
checkpoints/   <step>/ (immutable), and the relative links last and best
cache/         the tokens of the person's text; mode 0700
tensorboard/   its event files, where they were asked for

and that of a classifier also
asked.toml     its settings as they were asked for, before `auto` became numbers
wrong_answers.jsonl    confusion.svg    reliability.svg    (and .png)
language_model/, second_language_model/   what it began with: runs of their own
learning_curve/   what it comes to with fewer labels; mode 0700
together/      its words' model, and how much that counts beside the network; mode 0700
latent_semantics/   which words go together in text without labels; mode 0700
"""

import contextlib
import difflib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from charlm.errors import CharlmError, MachineError, RunError, UsageError
from charlm.runs.lock import LOCK_FILE, RunLock, is_marked
from charlm.runs.manifest import (
    read_files,
    read_manifest,
    write_folder,
)
from charlm.storage.atomic import (
    fsync_folder,
    is_stale_partial,
    machine_errors,
    partial_path,
    remove,
    write_atomically,
)
from charlm.storage.reading import TEXT_LIMIT, damaged, parse_json, read_regular, read_text

# A summary may say of 500 classes what each was taken for.
SUMMARY_LIMIT = 16 * TEXT_LIMIT
LANGUAGE_MODELS = ("language_model", "second_language_model")
# What a classifier has beside them.
_OF_CLASSIFIERS = (
    "asked.toml", "wrong_answers.jsonl", "confusion.svg", "confusion.png", "reliability.svg",
    "reliability.png",
)  # fmt: skip
_FILES = ("metrics.jsonl", "summary.json", "config.toml", *_OF_CLASSIFIERS)
_FOLDERS = (
    "checkpoints", "tokenizer", "cache", "samples", "tensorboard", "learning_curve", "together",
    "latent_semantics", *LANGUAGE_MODELS,
)  # fmt: skip
_MADE_AT_ONCE = ("checkpoints", "cache", "samples")
# The user named a place that cannot be a run; anything else is the machine's doing.
_WRONG_PLACE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP,
    errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT,
}  # fmt: skip


class RunDirectory:
    """The places in one run, and its small files. `create` or `open` gives one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "config.toml"
        self.asked_path = path / "asked.toml"
        self.metrics_path = path / "metrics.jsonl"
        self.summary_path = path / "summary.json"
        self.tokenizer = path / "tokenizer"
        self.checkpoints = path / "checkpoints"
        self.cache = path / "cache"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"
        self.learning_curve = path / "learning_curve"
        self.together = path / "together"
        self.semantics = path / "latent_semantics"

    @classmethod
    def create(cls, path: str | Path, force: bool = False, prepared: Path | None = None) -> Self:
        """An empty run at `path`; `force`: in place of the run that is there.

        `prepared`: a folder inside `path` with what is in it already, such as the cache of a text
        that has been read, each under the name that it has in a run.

        A run that ended before its text was read is no run yet, and is begun anew.
        Only a run's own entries are removed: other files in its folder stay, and a folder
        that is no run is left alone. Takes the lock while it works and releases it.
        Raises UsageError if there is a run (without `force`), something else, a process
        using it, or no permission to write; MachineError if the disk fails.
        """
        run = cls(Path(path))
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            entries = set(os.listdir(run.path))
        except OSError as error:
            if error.errno not in _WRONG_PLACE:
                raise MachineError(f"could not make {path}: {error.strerror}") from error
            raise UsageError(
                f"{path} cannot be a run directory: {error.strerror}",
                "Choose another place with --out.",
            ) from error
        # A process killed while it took its first lock leaves an empty lock file.
        empty = not entries or (
            entries == {LOCK_FILE} and (run.path / LOCK_FILE).lstat().st_size == 0
        )
        if not empty and not may_be_replaced(run.path):
            raise UsageError(
                f"{path} is not empty, and it is not a run: nothing in it was touched",
                "Choose another place with --out.",
            )
        if not empty and not force and _has_begun(run.path):
            raise UsageError(
                f"{path} already holds a run",
                "Go on with it by --resume, overwrite it by --force, or choose another --out.",
            )
        with run.lock(), machine_errors(run.path, "prepare"):
            for name in os.listdir(run.path):
                if run.path / name != prepared and (
                    name in _FILES or name in _FOLDERS or is_stale_partial(name)
                ):
                    remove(run.path / name)
            for name in _FOLDERS:
                if prepared is not None and os.path.isdir(prepared / name):
                    os.rename(prepared / name, run.path / name)
                elif name in _MADE_AT_ONCE:
                    os.mkdir(run.path / name, 0o700 if name == "cache" else 0o777)
            if prepared is not None:
                remove(prepared)
            fsync_folder(run.path)
            fsync_folder(run.path.parent)
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The run at `path`; RunError if there is none, with the nearest name beside it."""
        run = cls(Path(path))
        if os.path.isfile(run.path):
            raise RunError(f"{path} is a file, and a run is a folder", "Give the run's folder.")
        if not is_run(run.path):
            what = "is not a charlm run" if os.path.lexists(run.path) else "does not exist"
            raise RunError(f"{path} {what}", _nearest(run.path))
        return run

    def discard_unless_begun(self) -> None:
        """Leave no empty run behind where reading its text failed."""
        if _has_begun(self.path) or not is_marked(self.path):
            return
        with contextlib.suppress(OSError):
            for name in (*_FILES, *_FOLDERS, LOCK_FILE):
                remove(self.path / name)
            os.rmdir(self.path)

    def lock(self) -> RunLock:
        """The run's lock, to be entered by `with` by whoever writes."""
        return RunLock(self.path)

    @property
    def config_text(self) -> str:
        """`config.toml`; RunError if it is missing or not UTF-8."""
        return read_text(self.config_path)

    @property
    def asked_text(self) -> str:
        """`asked.toml`; RunError if it is missing or not UTF-8."""
        return read_text(self.asked_path)

    def write_asked(self, text: str) -> None:
        """Puts `asked.toml` on disk; MachineError."""
        write_atomically(self.asked_path, text.encode("utf-8"))

    def write_config(self, text: str) -> None:
        """Puts `config.toml` on disk; MachineError."""
        write_atomically(self.config_path, text.encode("utf-8"))

    def write_tokenizer(self, files: Mapping[str, bytes]) -> None:
        """Stores the tokenizer's files with their hashes, all or none of them.

        `files`: plain name -> content, as `Tokenizer.to_files` gives. Raises MachineError.
        """
        write_folder(self.tokenizer, "tokenizer", files)

    def read_tokenizer(self) -> dict[str, bytes]:
        """The tokenizer's files, verified against their hashes; RunError naming the file."""
        require_folder(self.tokenizer)
        return read_files(self.tokenizer, read_manifest(self.tokenizer, "tokenizer"))

    def write_together(self, files: Mapping[str, bytes]) -> None:
        """Stores the words' model of a classifier as the tokenizer; it holds words of the text."""
        write_folder(self.together, "together", files, 0o700)

    def read_together(self) -> dict[str, bytes]:
        """Its files, verified against their hashes; none where it was not kept. RunError."""
        return _files_kept(self.together, "together")

    def write_semantics(self, files: Mapping[str, bytes]) -> None:
        """Stores which words go together, as `write_together`."""
        write_folder(self.semantics, "latent-semantics", files, 0o700)

    def read_semantics(self) -> dict[str, bytes]:
        """Its files, as `read_together`."""
        return _files_kept(self.semantics, "latent-semantics")

    def read_summary(self) -> dict[str, Any] | None:
        """`summary.json`, None if the run has not ended; RunError if it is damaged."""
        if not os.path.lexists(self.summary_path):
            return None
        return parse_json(read_regular(self.summary_path, limit=SUMMARY_LIMIT), self.summary_path)

    def remove_summary(self, *more: Path) -> None:
        """The run goes on: what was written at its end is no longer true, nor what is in `more`."""
        for path in (self.summary_path, self.together, *more):
            with machine_errors(path, "remove"):
                remove(path)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Puts `summary.json` on disk; MachineError. ValueError for NaN and infinity."""
        text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
        write_atomically(self.summary_path, text.encode("utf-8"))


def _files_kept(folder: Path, kind: str) -> dict[str, bytes]:
    if not os.path.lexists(folder):
        return {}
    require_folder(folder)
    return read_files(folder, read_manifest(folder, kind))


def is_run(path: Path) -> bool:
    """Whether `path` is a folder that charlm made: its lock's mark, or configuration and
    checkpoints (a copy may have left hidden files behind)."""
    # os.path answers False where pathlib raises: in a folder that may not be looked into.
    return os.path.isdir(path) and (
        is_marked(path)
        or (os.path.isfile(path / "config.toml") and os.path.isdir(path / "checkpoints"))
    )


@contextlib.contextmanager
def successor(path: Path) -> Iterator[Path]:
    """A folder where what shall take the place of the run at `path` is prepared, for
    `RunDirectory.create(path, force=True, prepared=...)`; gone at the end.

    Raises UsageError if a process is at work on the run.
    """
    with RunDirectory(path).lock():
        pass
    folder = partial_path(path / "new")
    try:
        yield folder
    finally:
        remove(folder)


def may_be_replaced(path: Path) -> bool:
    """Whether `path` is a run beyond doubt: others have configurations and checkpoints too."""
    return is_run(path) and (is_marked(path) or _has_our_config(path))


def _has_our_config(path: Path) -> bool:
    """Whether there is a config.toml with a section that other programs' hardly have."""
    try:
        return b"[regularisation]" in read_regular(path / "config.toml", limit=TEXT_LIMIT)
    except (CharlmError, OSError):
        return False


def _has_begun(path: Path) -> bool:
    """Whether a run has a configuration or a checkpoint: something to lose, or to go on with."""
    checkpoints = path / "checkpoints"
    return os.path.lexists(path / "config.toml") or (
        os.path.isdir(checkpoints) and bool(os.listdir(checkpoints))
    )


def require_folder(path: Path) -> None:
    """Raises RunError unless `path` is a folder, and not a link to one."""
    if os.path.islink(path):
        raise damaged(path, "is a link, and a run has its folders in itself")
    if not os.path.isdir(path):
        raise damaged(path, "is missing")


def _nearest(path: Path) -> str:
    """A hint with the run beside `path` whose name is most like it."""
    try:
        siblings = [entry.name for entry in path.parent.iterdir() if is_run(entry)]
    except OSError:
        siblings = []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    if near:
        return f"Did you mean {path.parent / near[0]}?"
    return "Give the folder that `charlm train --out` made, or a file that `charlm export` made."
