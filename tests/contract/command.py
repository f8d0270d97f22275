"""charlm as people run it: a process with real descriptors, signals and an exit code.

Importing torch takes seconds, so a server that has it forks a process for each command;
`plain` starts an interpreter of its own, for what must be seen from the very start.
`call` runs a command inside this process, for tests that look into it.
"""

import contextlib
import io
import multiprocessing
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import reduction
from pathlib import Path
from typing import Any

SECONDS = 60  # no command may take longer

# Options that make `train` take three small steps.
QUICK = (
    "--steps", "3", "--hidden-size", "8", "--batch-size", "2", "--bptt", "8", "--threads", "1",
    "--precision", "fp32", "--device", "cpu",
)  # fmt: skip

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["pytest", "charlm.cli.main", "charlm.training_run", "charlm.evaluation.scoring",
     "charlm.evaluation.measure", "charlm.report.training_screen", "safetensors.numpy",
     "rich.table", "tqdm", "numpy.testing", "charlm.text.tokenizers.char",
     "charlm.model.cells.lstm", "charlm.model.kernels.lstm", "tomli_w", "torch._dynamo"]
)  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """How a command ended and what it wrote."""

    code: int
    stdout: bytes
    err: str

    @property
    def out(self) -> str:
        return self.stdout.decode("utf-8")


class _Descriptor:
    """A file descriptor that goes along to the process it is given to."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(duplicate: Any) -> _Descriptor:
    return _Descriptor(duplicate.detach())


def _be_charlm(
    arguments: tuple[str, ...],
    descriptors: list[_Descriptor],
    environment: dict[str, str],
    prepare: Callable[[], None] | None,
) -> None:
    os.environ.update(environment)
    # Whoever runs the tests in the background has it ignored, and processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, descriptor in enumerate(descriptors):
        os.dup2(descriptor.number, place)
        os.close(descriptor.number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["charlm", *arguments]
    from charlm import api
    from charlm.cli.main import main

    api.PROCESS_STARTED = time.monotonic()
    if prepare is not None:
        prepare()
    main()


class Process:
    """A running command; its output so far in `out()` and `err()`."""

    def __init__(
        self,
        *arguments: str | Path,
        stdin: bytes | int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        with contextlib.ExitStack() as ours:
            self._out = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the object)
            self._err = tempfile.TemporaryFile()  # noqa: SIM115
            feed = None
            if isinstance(stdin, bytes):
                read_end, feed = os.pipe()
                ours.callback(os.close, read_end)
                os.write(feed, stdin[:1000])  # there before anyone asks whether it is
            elif stdin is None:
                read_end = os.open(os.devnull, os.O_RDONLY)
                ours.callback(os.close, read_end)
            else:
                read_end = stdin
            descriptors = [
                _Descriptor(read_end),
                _Descriptor(self._out.fileno() if stdout is None else stdout),
                _Descriptor(self._err.fileno() if stderr is None else stderr),
            ]
            words = tuple(str(argument) for argument in arguments)
            self._process = _CONTEXT.Process(
                target=_be_charlm, args=(words, descriptors, dict(environment or {}), prepare)
            )
            self._process.start()
        if feed is not None:
            rest = stdin[1000:] if isinstance(stdin, bytes) else b""
            threading.Thread(target=_feed, args=(feed, rest), daemon=True).start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def err(self) -> str:
        return os.pread(self._err.fileno(), 1 << 24, 0).decode("utf-8")

    def wait(self) -> Finished:
        self._process.join(SECONDS)
        if self._process.is_alive():
            self._process.kill()
            raise TimeoutError(f"still running after {SECONDS} s: {self.err()}")
        assert self._process.exitcode is not None
        out = os.pread(self._out.fileno(), 1 << 24, 0)
        return Finished(self._process.exitcode, out, self.err())


def _feed(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(data)


def charlm(*arguments: str | Path, **how: Any) -> Finished:
    """Run a command to its end. Standard input is empty unless `stdin` is given."""
    return Process(*arguments, **how).wait()


def plain(
    *arguments: str | Path, python: tuple[str, ...] = (), **how: Any
) -> subprocess.CompletedProcess[bytes]:
    """`python -m charlm` in a fresh interpreter."""
    command = [sys.executable, *python, "-m", "charlm", *map(str, arguments)]
    how = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": SECONDS} | how
    return subprocess.run(command, check=False, **how)


def on_terminal(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Finished:
    """Run a command whose three streams are a terminal; what it showed is in `stdout`."""
    ours, theirs = pty.openpty()
    shown = bytearray()
    try:
        process = Process(
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            environment={"TERM": "xterm", "NO_COLOR": ""} | dict(environment or {}),
        )
        deadline = time.monotonic() + SECONDS / 2
        while process.alive() or select.select([ours], [], [], 0)[0]:
            if time.monotonic() > deadline:
                process.kill()
                raise TimeoutError(f"still running; shown so far: {shown!r}")
            if select.select([ours], [], [], 0.05)[0]:
                shown += os.read(ours, 1 << 16)
        finished = process.wait()
    finally:
        os.close(theirs)
        os.close(ours)
    return Finished(finished.code, bytes(shown).replace(b"\r\n", b"\n"), "")


@contextlib.contextmanager
def _descriptor_to(number: int, file: Any) -> Iterator[None]:
    kept = os.dup(number)
    try:
        os.dup2(file.fileno(), number)
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def call(*arguments: str | Path) -> Finished:
    """Run a command inside this process, where patches of the code hold."""
    from charlm import api
    from charlm.cli.main import app

    errors = io.StringIO()
    api.PROCESS_STARTED = time.monotonic()
    with tempfile.TemporaryFile() as results:
        with (
            _descriptor_to(1, results),
            open(1, "w", encoding="utf-8", closefd=False) as out,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(errors),
        ):
            try:
                app([str(argument) for argument in arguments], prog_name="charlm")
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Finished(code, os.pread(results.fileno(), 1 << 24, 0), errors.getvalue())
