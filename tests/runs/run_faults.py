"""Contents of a tiny run, and system calls that fail or kill at a chosen count."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from charlm.runs.directory import RunDirectory

# Every call by which a save changes the disk.
CALLS = ("open", "write", "fsync", "rename", "replace", "symlink", "mkdir", "unlink", "rmdir")


def arrays(seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Groups as a trainer hands them over, different for each seed."""
    rng = np.random.default_rng(seed)
    return {
        "weights": {
            "embedding": rng.normal(size=(4, 3)).astype(np.float32),
            "cell.bias": rng.normal(size=5).astype(np.float64),
        },
        "optimizer": {"embedding.m": rng.normal(size=(4, 3)).astype(np.float32)},
        "carried": {"h": rng.normal(size=(1, 2, 3)).astype(np.float32)},
    }


def same_arrays(found: Any, expected: Any) -> bool:
    return found.keys() == expected.keys() and all(
        found[g].keys() == expected[g].keys()
        and all(
            found[g][n].dtype == a.dtype and np.array_equal(found[g][n], a)
            for n, a in expected[g].items()
        )
        for g in expected
    )


TOKENIZER = {"vocabulary.json": b'{"characters": "abc"}', "extra.bin": bytes(range(40))}
CONFIG = '[model]\ncell = "lstm"\nhidden_size = 3\n'


def copy_run(run: RunDirectory, to: Path) -> RunDirectory:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(run.path, to, symlinks=True)
    return RunDirectory.open(to)


@contextmanager
def counted_calls(hook: Callable[[int, str, Callable[[], Any], tuple[Any, ...]], Any]) -> Iterator:
    """Puts `hook(count, name, call, arguments)` in place of every call in CALLS."""
    originals = {name: getattr(os, name) for name in CALLS}
    count = 0

    def replacement(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            return hook(count, name, lambda: originals[name](*args, **kwargs), args)

        return call

    try:
        for name in CALLS:
            setattr(os, name, replacement(name))
        yield originals
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def dies_before(number: int, action: Callable[[], object]) -> bool:
    """Runs `action` in a child that dies at call `number`, a write half done; True if it died."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            real_write = os.write

            def hook(count: int, name: str, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
                if count == number:
                    if name == "write":
                        real_write(args[0], bytes(args[1])[: len(args[1]) // 2])
                    os._exit(99)
                return call()

            with counted_calls(hook):
                action()
            code = 77
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (77, 99), "the action failed by itself"
    return code == 99


@contextmanager
def failing_call(number: int, code: int = errno.ENOSPC, lasting: bool = False) -> Iterator[list]:
    """Call `number` raises OSError, a write after half of its bytes; `lasting`: so does every
    later call that needs space. Yields the list of the names of failed calls."""
    failed: list[str] = []
    real_write = os.write

    def hook(count: int, name: str, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        needs_space = name in ("write", "mkdir", "symlink")
        if count == number or (lasting and count > number and needs_space):
            failed.append(name)
            if name == "write":
                real_write(args[0], bytes(args[1])[: len(args[1]) // 2])
            raise OSError(code, os.strerror(code))
        return call()

    with counted_calls(hook):
        yield failed
