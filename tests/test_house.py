"""The rules of the house: who may know whom, what is imported when, and how large a file is."""

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import charlm

ROOT = Path(charlm.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
SCRIPTS = sorted((ROOT.parent / "scripts").rglob("*.py"))

# The way that text takes through the house. A folder may know itself and what stands before it.
FLOW = (
    {"errors", "registry", "settings", "draws", "launched"},  # known to all
    {"storage"},  # files, for text and runs
    {
        "config_text",
        "config_model",
        "config",
        "contradictions",
        "precedence",
        "adaptation",
        "looking",
        "correcting",
        "gradient_settings",
        "classifier_settings",
        "audit_settings",
        "forecast_settings",
    },
    {"text"},
    {"model"},
    {"training"},
    {"runs"},
    {"generation", "evaluation"},
    {
        "stored_network",
        "saved_training",
        "classifying",
        "planning",
        "assembly",
        "training_run",
        "training_beside",
        "loaded",
        "measuring",
        "adapted_writing",
        "transfer",
        "verification",
        "doctor",
        "gradient_study",
        "run_story",
        "auditing",
    },  # where the stations are put together
    {"correction", "forecasting"},
    {"api"},
    {"report"},
    {"cli"},
    {"__main__"},
)
# Imports against the flow, each with its reason.
AGAINST_THE_FLOW = {
    ("training", "runs"): "checkpointing.py turns the state of training into the arrays of a "
    "checkpoint and back, and ranks.py sends them to other processes; runs itself knows neither "
    "model nor optimiser",
}
# Where the heavy libraries work, and may be imported as soon as the module is.
HEAVY = ("torch", "sklearn", "matplotlib", "sentencepiece", "numba")
AT_WORK = {
    "model",
    "training",
    "evaluation",
    "planning",
    "assembly",
    "training_run",
    "training_beside",
    "saved_training",
    "classifying",
    "measuring",
}
COMPILED = {
    f"generation/native/{name}.py" for name in ("products", "pointwise", "output", "cuts", "steps")
}


def place(path: Path) -> str:
    """`text` for charlm/text/corpus.py, `config` for charlm/config.py."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(path: Path, *, when_loaded: bool = False) -> Iterator[str]:
    """The modules that a file imports; `when_loaded`: not those inside functions or for types."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if when_loaded and (types_only or function):
                continue
            yield child
            yield from walk(child)

    for node in walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_places(path: Path) -> set[str]:
    """The places in the house that a file knows."""
    names = {name.split(".")[1] for name in imported(path) if name.startswith("charlm.")}
    return names & set().union(*FLOW)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_flows_one_way(path: Path) -> None:
    if path == ROOT / "__init__.py":  # it hands out what api has, when asked
        return
    here = place(path)
    rank = {name: number for number, names in enumerate(FLOW) for name in names}
    assert here in rank, f"{here} has no place in the house"
    against = {
        there
        for there in own_places(path)
        if rank[there] > rank[here] and (here, there) not in AGAINST_THE_FLOW
    }
    assert not against


def test_exceptions_to_the_flow_are_still_needed() -> None:
    known = {(place(path), there) for path in FILES for there in own_places(path)}
    assert set(AGAINST_THE_FLOW) <= known


@pytest.mark.parametrize(
    ("here", "strangers"),
    [
        ("text", {"model", "training", "runs", "generation", "evaluation", "report", "cli"}),
        ("model", {"text", "training", "runs", "generation", "evaluation", "report", "cli"}),
        ("runs", {"text", "model", "training", "generation", "evaluation", "report", "cli"}),
    ],
)
def test_who_does_not_know_whom(here: str, strangers: set[str]) -> None:
    for path in FILES:
        if place(path) == here:
            assert not own_places(path) & strangers, path


@pytest.mark.parametrize("here", ["generation", "evaluation"])
def test_who_brings_text_and_model_together(here: str) -> None:
    known = set().union(*(own_places(path) for path in FILES if place(path) == here))
    assert {"text", "model"} <= known


def test_command_line_is_known_to_nobody() -> None:
    assert {place(path) for path in FILES if "cli" in own_places(path)} <= {"cli", "__main__"}


def test_command_line_knows_no_network() -> None:
    for path in FILES:
        if place(path) == "cli":
            assert not own_places(path) & {"model", "training", "runs", "evaluation"}, path


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_wait_until_they_are_needed(path: Path) -> None:
    if place(path) in AT_WORK or path.relative_to(ROOT).as_posix() in COMPILED:
        return
    heavy = {name.split(".")[0] for name in imported(path, when_loaded=True)} & set(HEAVY)
    assert not heavy


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_report_prints(path: Path) -> None:
    if place(path) in {"report", "cli"}:
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used = f"{node.value.id}.{node.attr}"
            assert used not in {"sys.stdout", "sys.stderr", "sys.__stdout__"}, f"line {node.lineno}"


@pytest.mark.parametrize(
    "path", [*FILES, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT.parent))
)
def test_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


def test_all_is_what_can_be_imported() -> None:
    for name in charlm.__all__:
        assert getattr(charlm, name) is not None
    submodules = {path.stem for path in ROOT.glob("*.py")} | {
        path.name for path in ROOT.iterdir() if path.is_dir()
    }
    shown = {
        name
        for name, value in vars(charlm).items()
        if not name.startswith("_") and name not in submodules | {"TYPE_CHECKING", "Any"}
    }
    assert shown <= set(charlm.__all__)
    with pytest.raises(AttributeError):
        _ = charlm.nothing_of_this_name


def test_registry_names_what_exists() -> None:
    from charlm import registry

    tables = [value for value in vars(registry).values() if isinstance(value, dict)]
    names = [target for table in tables for target in table.values() if isinstance(target, str)]
    names = [name for name in names if name.startswith("charlm.")]
    assert names
    for name in names:
        module, attribute = name.split(":")
        assert hasattr(importlib.import_module(module), attribute), name


def modules_of(*arguments: str) -> set[str]:
    """The modules that a command imports from its first moment to its last."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "charlm", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    lines = done.stderr.decode("utf-8").splitlines()
    found = {line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")}
    assert "charlm.cli.main" in found
    return found


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("train", "--help"), ("train", "--layers", "0"), ("generate",)],
    ids=" ".join,
)
def test_answer_without_torch(arguments: tuple[str, ...]) -> None:
    found = {name.split(".")[0] for name in modules_of(*arguments)}
    assert not found & {*HEAVY, "numpy", "safetensors", "tqdm"}


def test_generating_needs_no_torch(tiny_run: Path) -> None:
    """Nor numba, once the decoder has been compiled."""
    modules_of("generate", str(tiny_run), "the ")
    found = {name.split(".")[0] for name in modules_of("generate", str(tiny_run), "the ")}
    assert "numpy" in found
    assert not found & set(HEAVY)
