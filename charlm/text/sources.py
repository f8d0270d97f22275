"""Where text comes from: files, folders, gzip, standard input, as byte streams with names."""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from charlm.errors import DataError, UsageError

STDIN = "-"
SUFFIXES = (".txt", ".txt.gz")  # what a folder is searched for
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """One document: a file, standard input (`path` None), or a text that is at hand."""

    name: str  # as people know it; any str, also where the file system's name is not
    path: Path | None
    text: bytes | None = None


def at_hand(name: str, text: str) -> Source:
    """A text as a document. DataError: a lone surrogate."""
    try:
        return Source(name, None, text.encode())
    except UnicodeEncodeError as problem:
        raise DataError(
            f"{name} has a lone surrogate at character {problem.start}, which no UTF-8 can hold.",
            "Leave that character out.",
        ) from problem


def expand(sources: Sequence[str | Path | Source]) -> list[Source]:
    """The documents that `sources` name: `-`, files, and the `*.txt` and `*.txt.gz` in folders.

    Folders are searched recursively, links to folders not followed, and sorted by the parts
    of the path inside them; what lies in a run is what a model wrote, and no text. The str "-"
    is standard input; Path("-") is a file of that name.
    DataError: missing, or a folder without such a file or that may not be read.
    """
    found: list[Source] = []
    for source in sources:
        if isinstance(source, Source):
            found.append(source)
            continue
        if source == STDIN:
            found.append(Source("standard input", None))
            continue
        if source == "":
            raise DataError("a text has no name: it is empty.", "Name a file, a folder, or `-`.")
        path = Path(source)
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            found.extend(_files_in(path))
        elif mode:
            found.append(_file(path))
        else:
            raise DataError(
                f"{shown(path)} does not exist.", "Check the path; `-` reads standard input."
            )
    return found


def shown(path: Path) -> str:
    """A path as it is told and stored: any bytes of its name that are no UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _file(path: Path) -> Source:
    return Source(shown(path), path)


def _mode(path: Path) -> int:
    """What kind of file is there, 0 for none. DataError: it may not be looked at."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as problem:
        raise _unreadable(shown(path), problem) from problem


def _files_in(folder: Path) -> list[Source]:
    def refuse(problem: OSError) -> None:
        raise _unreadable(shown(Path(problem.filename)), problem)

    found = []
    for where, folders, names in os.walk(folder, onerror=refuse):
        paths = [Path(where, name) for name in names if name.endswith(SUFFIXES)]
        found += [path for path in paths if stat.S_ISREG(_mode(path))]
        folders[:] = [name for name in folders if not _is_run(Path(where, name))]
    if not found:
        raise DataError(
            f"The folder {shown(folder)} has no file {' or '.join('*' + s for s in SUFFIXES)}.",
            "Name the files themselves, or rename them to *.txt.",
        )
    return [_file(path) for path in sorted(found, key=lambda path: path.relative_to(folder).parts)]


def _is_run(folder: Path) -> bool:
    return os.path.isfile(folder / "config.toml") and os.path.isdir(folder / "checkpoints")


def _unreadable(name: str, problem: OSError) -> DataError:
    return DataError(
        f"{name} cannot be read: {problem.strerror or problem}.",
        "Check the file and its permissions.",
    )


@contextmanager
def open_source(source: Source, stdin: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """The bytes of `source`, unpacked where its name ends in .gz; `stdin` is left open.

    UsageError: standard input is asked for and there is none. DataError: unreadable.
    """
    if source.path is None:
        if stdin is None:
            raise UsageError("There is no standard input to read.", "Pipe text in, or name a file.")
        yield stdin
        return
    with read_errors(source.name):
        file = open(source.path, "rb")  # noqa: SIM115 (closed below, outside of read_errors)
    with file:
        if source.path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """DataError, naming the source, for what can go wrong while it is read."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise DataError(
            f"{name} is not whole gzip data: {problem}.",
            "Fetch or pack it again; `gzip -t` checks it.",
        ) from problem
    except OSError as problem:
        raise _unreadable(name, problem) from problem


def chunks(stream: BinaryIO, name: str, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The stream in pieces of at most `size` bytes, never the whole of it at once."""
    while True:
        with read_errors(name):
            piece = stream.read(size)
        if not piece:
            return
        yield piece
