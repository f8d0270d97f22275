"""Writing so that a crash at any moment leaves the old or the new, and nothing between.

The order is the one POSIX file systems need: write a temporary beside the target,
fsync it, rename it over the target, fsync the folder (a rename is on disk only then).
A temporary is called `.<name>.partial-<pid>`, so that one left by a killed process can
be told from one in use.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from charlm.errors import MachineError

PARTIAL = re.compile(r"\..+\.partial-([0-9]{1,10})")

_HINTS = {
    errno.ENOSPC: "The disk is full. Free some space there, or choose another disk.",
    errno.EDQUOT: "Your quota on this disk is used up. Free some space, or choose another disk.",
    errno.EFBIG: "The file is larger than the disk or a limit (`ulimit -f`) allows.",
    errno.EROFS: "The disk is mounted read-only. Choose another place.",
    errno.EACCES: "Permission is missing there. Change it, or choose another place.",
    errno.EPERM: "Permission is missing there. Change it, or choose another place.",
    errno.EIO: "The disk reports an error. Copy what matters elsewhere and check the disk.",
    errno.ENOENT: "The folder has gone. Put it back, or choose another place.",
}


@contextlib.contextmanager
def machine_errors(path: Path, doing: str) -> Iterator[None]:
    """Turns an OSError inside into `MachineError("could not <doing> <path>: ...")`."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = _HINTS.get(error.errno or 0, "Check the disk, then try again.")
        raise MachineError(f"could not {doing} {path}: {reason}", hint) from error


def partial_path(path: Path) -> Path:
    """Where this process builds what is going to be `path`: the same folder, hidden."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def is_stale_partial(name: str) -> bool:
    """Whether `name` is a temporary that nobody is writing: its process is dead, or is this one.

    Ask between writes: one of this process that is still there was left by a process of
    the same number, as the first one in every container has.
    """
    match = PARTIAL.fullmatch(name)
    if match is None:
        return False
    pid = int(match[1])
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def remove(path: Path) -> None:
    """Removes a file, a link (not what it points to) or a folder; no error if there is none.

    Raises OSError.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def fsync_folder(path: Path) -> None:
    """Puts the names in a folder on disk; OSError where that fails."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot: they write names through at once.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def write_new(path: Path, content: bytes | Iterable[bytes], mode: int = 0o666) -> None:
    """Writes a file that must not exist yet and fsyncs it; its folder is the caller's to fsync.

    Raises OSError; the file is removed then.
    """
    chunks = (content,) if isinstance(content, bytes) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def write_atomically(path: Path, content: bytes | Iterable[bytes], mode: int = 0o666) -> None:
    """Puts `content` in place of what `path` held, on disk when this returns.

    Raises MachineError naming `path`; the old content is then still there whole, unless
    only the last fsync failed.
    """
    temporary = partial_path(path)
    with machine_errors(path, "write"):
        remove(temporary)
        try:
            write_new(temporary, content, mode)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        fsync_folder(path.parent)


def place_folder(temporary: Path, path: Path) -> None:
    """Gives a finished folder its name, durably; nothing may stand there. Raises OSError."""
    fsync_folder(temporary)
    os.rename(temporary, path)
    fsync_folder(path.parent)


def swap_link(link: Path, target: str) -> None:
    """Points the symbolic link `link` to `target` (relative to its folder), durably.

    Readers see the old target or the new one, never none. Raises MachineError.
    """
    temporary = partial_path(link)
    with machine_errors(link, "set the link"):
        remove(temporary)
        try:
            os.symlink(target, temporary)
            os.replace(temporary, link)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        fsync_folder(link.parent)
