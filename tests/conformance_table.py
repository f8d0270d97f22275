"""A pytest plugin that writes what the conformance tests saw as a table (`make conformance`).

    pytest -p conformance_table --conformance-table FILE tests/model/test_cell_conformance.py \\
        tests/training/test_resume_conformance.py
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

HEAD = """# Conformance

Written by `make conformance` from tests/model/test_cell_conformance.py and
tests/training/test_resume_conformance.py: every cell with every temporal dropout, under each
kernel and in each precision.

A pair of numbers is the largest deviation of two layers from the reference step in float64: of
outputs and states, and of the gradients of all weights (relative to the largest entry where that
is above 1). "provider" is the library's kernel (oneDNN on the CPU); a dash where the library has
none for it, and our fused kernel runs instead. "train / eval": two training passes differ, one
repeated does not, and evaluation is the undropped network (zoneout: its mean). "resume": a run
that stops and goes on ends with the bytes of one that never stopped, in fp32 and bf16.

"""
KERNELS = {"reference": "reference", "fused": "fused", "auto": "provider"}
DTYPES = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16"}

# (cell, dropout) -> what was seen
_numbers: dict[tuple[str, str], dict[tuple[str, str], str]] = defaultdict(dict)
_passed: dict[tuple[str, str, str], list[bool]] = defaultdict(list)


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--conformance-table", type=Path)


def pytest_runtest_logreport(report: Any) -> None:
    if report.when != "call" or " | " not in report.nodeid:
        return
    test, _, parameters = report.nodeid.rpartition("::")[2].rstrip("]").partition("[")
    cell, dropout, *rest = parameters.split(" | ")
    if test == "test_agrees_with_the_reference_in_float64":
        seen = dict(report.user_properties)
        shown = f"{seen['output']:.0e} / {seen['gradient']:.0e}" if report.passed else "FAILED"
        _numbers[cell, dropout][rest[0], rest[1]] = shown
    elif test == "test_training_is_dropped_and_evaluation_is_not":
        _passed["train / eval", cell, dropout].append(report.passed)
    elif test == "test_stopped_and_gone_on_is_never_stopped":
        _passed["resume", cell, dropout].append(report.passed)


def _has_provider(cell: str, dropout: str, dtype: str) -> bool:
    shared = dropout in ("undropped", "variational", "weight-drop")
    return cell == "lstm" and shared and dtype != "float64"


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--conformance-table")
    if path is None or not _numbers:
        return
    columns = [(kernel, dtype) for kernel in KERNELS for dtype in DTYPES]
    names = [f"{KERNELS[kernel]} {DTYPES[dtype]}" for kernel, dtype in columns]
    lines = ["| cell | temporal dropout | " + " | ".join([*names, "train / eval", "resume"]) + " |"]
    lines.append("|---" * (len(names) + 4) + "|")
    for (cell, dropout), seen in _numbers.items():
        row = [
            "–" if kernel == "auto" and not _has_provider(cell, dropout, dtype)
            else seen.get((kernel, dtype), "not run")
            for kernel, dtype in columns
        ]  # fmt: skip
        for what in ("train / eval", "resume"):
            found = _passed.get((what, cell, dropout), [])
            row.append("not run" if not found else "yes" if all(found) else "FAILED")
        lines.append(f"| {cell} | {dropout} | " + " | ".join(row) + " |")
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
