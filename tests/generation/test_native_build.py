"""The decoder's machine code: compiled once, kept, checked when it is read, done without."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charlm.generation.native import build

ROOT = Path(build.__file__).parents[3]


@pytest.fixture
def code():
    """What is stored for this machine."""
    build.steps(lambda said: None)
    for folder in build.folders():
        for path in folder.glob("decoder-*.bin"):
            if path.name in build._loaded:
                return build._read(path)
    raise AssertionError("nothing was kept")


@pytest.fixture
def fresh(tmp_path, monkeypatch, code):
    """As in a new process whose only place is tmp_path; how often it compiled."""
    compiled_times = []

    def compile_once():
        compiled_times.append(1)
        return code

    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.setattr(build, "_compile", compile_once)
    monkeypatch.setattr(build, "folders", lambda: iter([tmp_path / "none", tmp_path / "cache"]))
    (tmp_path / "none").write_text("no folder can be made here")
    return compiled_times


def test_it_is_compiled_once_and_said(fresh, tmp_path, monkeypatch):
    said = []
    build.steps(said.append)
    build.steps(said.append)
    assert len(fresh) == len(said) == 1 and "once" in said[0]
    monkeypatch.setattr(build, "_loaded", {})
    build.steps(said.append)
    assert len(fresh) == 1, "read from where it was kept"
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.stat().st_mode & 0o022 == 0


def test_code_of_former_versions_is_removed_at_last(fresh, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    for age in range(12):
        old = cache / f"decoder-{age}.bin"
        old.touch()
        os.utime(old, (1e9 - age, 1e9 - age))
    (cache / "other.bin").touch()
    build.steps(lambda said: None)
    (name,) = build._loaded
    kept = {path.name for path in cache.iterdir()}
    assert kept == {name, "other.bin", *(f"decoder-{age}.bin" for age in range(7))}


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_what_is_damaged_is_made_anew(fresh, tmp_path, monkeypatch, damage):
    build.steps(lambda said: None)
    (kept,) = (tmp_path / "cache").iterdir()
    whole = bytearray(kept.read_bytes())
    whole[len(whole) // 2] ^= 1
    damaged = {"flipped": whole, "cut": whole[:-1], "empty": b""}[damage]
    kept.write_bytes(damaged)
    monkeypatch.setattr(build, "_loaded", {})
    build.steps(lambda said: None)
    assert len(fresh) == 2
    assert kept.read_bytes() != damaged


def test_what_others_may_write_is_not_run(fresh, tmp_path, monkeypatch):
    build.steps(lambda said: None)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.chmod(0o666)
    monkeypatch.setattr(build, "_loaded", {})
    build.steps(lambda said: None)
    assert len(fresh) == 2 and kept.stat().st_mode & 0o022 == 0, "made anew"
    if os.geteuid() == 0:  # so that it is another one's
        os.chown(kept, 12345, -1)
        monkeypatch.setattr(build, "_loaded", {})
        build.steps(lambda said: None)
        assert len(fresh) == 3


def test_where_nothing_can_be_kept(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "folders", lambda: iter([tmp_path / "none"]))
    said = []
    for made in (1, 2):
        monkeypatch.setattr(build, "_loaded", {})
        assert callable(build.steps(said.append))
        assert len(fresh) == made
    assert sum("kept nowhere" in message for message in said) == 2


def test_another_processor_has_its_own_code(monkeypatch):
    import llvmlite.binding as llvm

    here = build._depends_on(llvm)
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "another")
    assert build._depends_on(llvm) != here


def test_its_name_hangs_on_all_that_is_compiled():
    """Numbers that other files lend to it among it."""

    def own_imports(path):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("charlm."):
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                files = (ROOT / f"{name.replace('.', '/')}.py" for name in names)
                yield from (file for file in files if file.is_file())

    native = Path(build.__file__).parent
    found, waiting = set(), [native / "steps.py"]
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting += set(own_imports(path)) - found
    read = {(native / f"{name}.py").resolve() for name in build._SOURCES}
    assert found == read - {native / "build.py"} and native / "cuts.py" in found


def test_without_numba_it_is_slower_and_said(tiny_run: Path, tmp_path):
    """A package that cannot be imported stands in for one that is not there."""
    (tmp_path / "llvmlite.py").write_text("raise ImportError('no llvmlite here')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"}
    command = [sys.executable, "-m", "charlm", "generate", str(tiny_run), "--length", "20"]
    done = [
        subprocess.run(
            [*command, "--precision", precision],
            capture_output=True, check=False, env=environment, stdin=subprocess.DEVNULL,
        )
        for precision in ("auto", "fp32", "bf16")
    ]  # fmt: skip
    auto, exact, halves = done
    assert auto.stdout == exact.stdout != b""
    assert b"no llvmlite here" in auto.stderr and not exact.stderr
    assert halves.returncode == 1 and not halves.stdout and b"--precision fp32" in halves.stderr
