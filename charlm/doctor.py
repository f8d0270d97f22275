"""What charlm finds on this machine: versions, threads, precision, kernels, memory and disk."""

import os
import platform
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from charlm import __version__
from charlm.errors import CharlmError
from charlm.storage.atomic import write_atomically
from charlm.storage.reading import physical_memory

_LITTLE_DISK = 2**30  # a run of the largest automatic size, its cache and two checkpoints
_DISTRIBUTIONS = (
    "torch", "numpy", "scipy", "numba", "safetensors", "sentencepiece", "msgspec", "regex",
    "scikit-learn", "matplotlib", "typer", "rich", "tqdm", "filelock", "tomli-w", "threadpoolctl",
)  # fmt: skip


def examine(folder: str | Path = ".") -> dict[str, Any]:
    """The keys of `charlm doctor --json`; `problems`: what is wrong, in words, none if nothing is.

    folder: where runs are to be written.
    """
    versions = {name: _version(name) for name in _DISTRIBUTIONS}
    problems = [f"{name} is not installed" for name, found in versions.items() if found is None]
    found: dict[str, Any] = {
        "charlm": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "memory_bytes": physical_memory(),
        "disk": _disk(Path(folder), problems),
        "temporary": _temporary(problems),
    }
    if versions["torch"] is not None:
        try:
            found |= _computing(problems)
        except (ImportError, OSError) as error:  # a library that it needs is not there
            problems.append(f"torch cannot be loaded: {error}")
    return found | {"problems": problems}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _temporary(problems: list[str]) -> dict[str, Any] | None:
    try:
        return _disk(Path(tempfile.gettempdir()), problems)
    except OSError as error:
        problems.append(f"there is no folder for temporary files: {error.strerror}")
        return None


def _disk(folder: Path, problems: list[str]) -> dict[str, Any]:
    """Room in a folder, and how long a small file takes to be on the disk."""
    found: dict[str, Any] = {"path": str(folder.resolve()), "writable": False}
    try:
        found["free_bytes"] = shutil.disk_usage(folder).free
        with tempfile.TemporaryDirectory(prefix="charlm-doctor-", dir=folder) as inside:
            begin = time.perf_counter()
            write_atomically(Path(inside) / "file", b"charlm\n")
            found["seconds_to_disk"] = time.perf_counter() - begin
        found["writable"] = True
    except (OSError, CharlmError) as error:
        reason = error.what if isinstance(error, CharlmError) else error.strerror
        problems.append(f"{folder.resolve()} cannot be written: {reason}")
        return found
    if found["free_bytes"] < _LITTLE_DISK:
        problems.append(f"{folder.resolve()} has only {found['free_bytes'] / 2**20:,.0f} MiB free")
    return found


def _computing(problems: list[str]) -> dict[str, Any]:
    """Threads, precision and kernels, as training would choose them now."""
    import torch

    from charlm.model.self_test import check_kernels
    from charlm.training.precision import MOST_THREADS, fastest_threads, probe

    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    threads = fastest_threads(MOST_THREADS)
    torch.set_num_threads(threads)
    rates = probe()
    kernels = check_kernels()
    problems += [
        f"the {check.kernel} kernel of {check.cell} in {check.precision} is off by "
        f"{check.deviation:.1e} of the largest value"
        for check in kernels
        if not check.right
    ]
    return {
        "threads": {
            "cores": cores,
            "allowed": MOST_THREADS,
            "chosen": threads,
            "reason": "the faster of all allowed and half of them, by a probe",
        },
        "precision": {
            "chosen": rates.best,
            "reason": rates.reason,
            "fp32_gflops": rates.fp32,
            "bf16_gflops": rates.bf16,
            "bf16_right": rates.bf16_right,
        },
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "kernels": [
            {"cell": c.cell, "kernel": c.kernel, "precision": c.precision,
             "deviation": c.deviation, "right": c.right}
            for c in kernels
        ],
    }  # fmt: skip
