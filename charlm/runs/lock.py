"""One writing process per run, held by the kernel: a dead process holds nothing."""

import contextlib
import os
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from charlm import __version__
from charlm.errors import UsageError
from charlm.storage.atomic import machine_errors

LOCK_FILE = ".lock"
_MARK = b"charlm "


class RunLock:
    """The lock of the run in `folder`, as a context manager; not re-entrant.

    An advisory `flock` on `.lock`, which the kernel drops when the process ends however
    it ends. The file stays, and says who holds it: `charlm <version>`, `pid`, `host`. It
    also marks the folder as a run of ours from its first moment. Reading needs no lock.

    Entering raises UsageError if another process holds the lock (naming it) or if the
    folder may not be written, and MachineError if the disk fails.
    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self.folder = folder
        self.path = folder / LOCK_FILE
        self._lock = FileLock(self.path, timeout=0, mode=0o644)

    def __enter__(self) -> Self:
        from filelock import Timeout

        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise UsageError(
                f"{self.folder} may not be written to", "Change its permissions, or copy the run."
            )
        with machine_errors(self.path, "lock"):
            try:
                self._lock.acquire()
            except Timeout as error:  # an OSError too, so it is caught first
                raise UsageError(
                    f"{self.folder} is in use by {holder(self.folder)}",
                    "Wait until it has ended, or stop it, or choose another --out.",
                ) from error
        try:
            self._sign()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def _sign(self) -> None:
        text = b"%s%s\npid %d\nhost %s\n" % (
            _MARK, __version__.encode(), os.getpid(), socket.gethostname().encode()
        )  # fmt: skip
        with machine_errors(self.path, "write"):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                # Over the old text, then shortened: the mark is never missing.
                os.pwrite(descriptor, text, 0)
                os.ftruncate(descriptor, len(text))
            finally:
                os.close(descriptor)


def holder(folder: Path) -> str:
    """Who signed the lock last, for a message: `process 123 on host`."""
    found = re.search(rb"\npid ([0-9]{1,10})\nhost ([\w.-]{0,100})\n", _content(folder))
    if found is None:
        return "another process"
    return f"process {found[1].decode()} on {found[2].decode()}"


def is_marked(folder: Path) -> bool:
    """Whether `folder` was once locked as a run."""
    return _content(folder).startswith(_MARK)


def _content(folder: Path) -> bytes:
    with contextlib.suppress(OSError):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(folder / LOCK_FILE, flags)
        try:
            return os.read(descriptor, 1000)
        finally:
            os.close(descriptor)
    return b""
