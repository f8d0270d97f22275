"""What the soak calls flat."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "scripts" / "soak.py"


@pytest.fixture(scope="module")
def soak():
    spec = importlib.util.spec_from_file_location("soak", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


def test_memory_that_rises_is_not_flat(soak):
    def course(rise, code=0):
        seconds = [float(t) for t in range(100)]
        return soak.Course("x", code, seconds, [500 + min(t, 20) * 10 + rise * t for t in seconds])

    assert course(0).flat and course(0).slope == pytest.approx(0)
    assert course(0.5).flat and course(0.5).slope == pytest.approx(0.5)
    leaking = course(2)
    assert not leaking.flat and "NOT FLAT" in leaking.shown() and "+7200" in leaking.shown()
    assert not course(0, code=1).flat
    assert not soak.Course("x", 0, [], []).flat


def test_a_process_is_watched_to_its_end(soak, tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "_EVERY", 0.01)
    found = soak.watch("x", ["--version"], None, tmp_path / "out")
    assert found.code == 0 and (tmp_path / "out").read_text().startswith("charlm ")
    assert max(found.mebibytes) > 5


def test_what_an_evaluation_needs_at_the_end_is_no_slope(soak):
    seconds = [float(t) for t in range(200)]
    found = soak.Course("x", 0, seconds, [500.0 + 300 * (t > 180) for t in seconds])
    assert found.flat and found.slope == pytest.approx(0)


def test_what_each_batch_needs_for_a_while_is_no_slope(soak):
    seconds = [float(t) for t in range(800)]
    busy = soak.Course("x", 0, seconds, [500.0 + 0.5 * t * (t % 7 > 0) for t in seconds])
    assert busy.flat and busy.slope == pytest.approx(0)
    leaking = soak.Course("x", 0, seconds, [500.0 + 0.5 * t + 300 * (t % 7 > 0) for t in seconds])
    assert not leaking.flat and leaking.slope == pytest.approx(0.5, rel=0.1)
