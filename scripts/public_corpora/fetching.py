"""Files from a public address, or from a disk, checked by their SHA-256."""

import hashlib
import urllib.request
from pathlib import Path

from charlm.errors import DataError, MachineError, UsageError
from public_corpora.known import PublicCorpus, Source

_CHUNK = 1 << 20


def fetch(source: Source, folder: Path) -> Path:
    """Download a file, with a bar on a terminal. MachineError: no connection, or it broke off."""
    from tqdm import tqdm

    path = folder / source.name
    try:
        with urllib.request.urlopen(source.address, timeout=60) as answer, path.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            with tqdm(
                total=size or None, unit="B", unit_scale=True, desc=source.name, disable=None
            ) as bar:
                while piece := answer.read(_CHUNK):
                    file.write(piece)
                    bar.update(len(piece))
    except OSError as problem:
        raise MachineError(
            f"{source.address} could not be fetched: {problem}",
            f"Fetch it by other means, and give it by --from {source.name}.",
        ) from problem
    if size and path.stat().st_size != size:
        raise MachineError(
            f"{source.address} broke off after {path.stat().st_size:,} of {size:,} bytes",
            "Try again.",
        )
    return path


def local(corpus: PublicCorpus, given: Path) -> list[Path]:
    """The sources on this disk: the file itself, or a folder with all of them by their names."""
    names = [source.name for source in corpus.sources]
    found = [given / name for name in names] if given.is_dir() else [given]
    if len(found) != len(names):
        raise UsageError(
            f"--from {given} is one file, and this corpus has {len(names)}",
            f"Give a folder with {', '.join(names)}.",
        )
    for path in found:
        if not path.is_file():
            raise DataError(f"{path} does not exist", "Check the path.")
    return found


def check(path: Path, expected: str | None) -> str:
    """The SHA-256 of a file; DataError where another is expected."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected is not None and found != expected.lower():
        raise DataError(
            f"{path.name} has the SHA-256 {found}, and {expected} is expected",
            "Fetch it again; if you trust this one, say so by --sha256 with its own.",
        )
    return found
