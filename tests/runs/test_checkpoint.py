"""Checkpoints: what goes in comes out, and nothing else is let in."""

import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_faults import arrays, copy_run, same_arrays

from charlm.errors import CharlmError, DivergedError, RunError
from charlm.runs import manifest
from charlm.runs.checkpoint import linked_step, load, save
from charlm.runs.directory import RunDirectory
from charlm.storage.reading import DEPTH_LIMIT


def reseal(folder: Path, **changes: Any) -> None:
    """A hostile or foreign writer's manifest: changed, and its hashes made to agree."""
    found = json.loads((folder / "manifest.json").read_text()) | changes
    for name in found["files"]:
        if (folder / name).is_file():
            found["files"][name] = manifest.describe((folder / name).read_bytes())
    del found["sha256"]
    found["sha256"] = manifest.sha256(manifest._canonical(found))
    (folder / "manifest.json").write_bytes(manifest._canonical(found))


def refused(run: RunDirectory, *parts: str, which: str | int = "last") -> str:
    """The message of the RunError that loading gives; it holds all of `parts`."""
    with pytest.raises(RunError) as caught:
        load(run, which)
    for part in parts:
        assert part in caught.value.what, (part, caught.value.what)
    assert caught.value.hint and caught.value.exit_code == 4
    return caught.value.what


def test_what_is_saved_is_loaded(run: RunDirectory):
    for which in ("best", "last", "best-else-last", 100):
        found = load(run, which)
        assert found.step == 100 and found.path == run.checkpoints / "100"
        assert same_arrays(found.groups, arrays(1)) and found.state == {"step": 100, "loss": 0.1}
    assert load(run, "last", groups=("weights",)).groups.keys() == {"weights"}
    assert load(str(run.path)).step == 100


def test_views_of_any_layout_are_stored_as_they_read(run: RunDirectory):
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    group = {
        "t": matrix.T, "strided": matrix[:, ::2], "scalar": np.array(7), "none": matrix[:0],
        "big": matrix.astype(">f4"), "truth": matrix > 3,
    }  # fmt: skip
    save(run, 101, {"weights": group}, {})
    found = load(run, "last").groups["weights"]
    for name, array in group.items():
        assert found[name].shape == array.shape and np.array_equal(found[name], array)


def test_best_is_kept_and_what_no_link_points_to_is_removed(run: RunDirectory):
    (run.checkpoints / ".3.partial-999999999").mkdir()
    (run.checkpoints / f".4.partial-{os.getppid()}").mkdir()  # of a living process
    save(run, 110, arrays(2), {})
    assert {linked_step(run, "best"), linked_step(run, "last")} == {100, 110}
    save(run, 120, arrays(3), {})
    kept = {"100", "120", "best", "last", f".4.partial-{os.getppid()}"}
    assert set(os.listdir(run.checkpoints)) == kept
    assert os.readlink(run.checkpoints / "last") == "120"
    assert load(run).step == 100 and load(run, "last").step == 120


def test_a_step_that_is_there_is_not_written_again(run: RunDirectory):
    before = (run.checkpoints / "100" / "weights.safetensors").stat().st_ino
    save(run, 100, arrays(1), {"seconds": 5}, ("last",))
    assert (run.checkpoints / "100" / "weights.safetensors").stat().st_ino == before
    with pytest.raises(CharlmError, match="other arrays"):
        save(run, 100, arrays(2), {}, ("last",))
    assert same_arrays(load(run).groups, arrays(1))


def test_a_first_save_that_died_between_its_links_is_put_in_its_place_anew(run: RunDirectory):
    """By the clock the same step has other arrays when it is trained again."""
    for name in os.listdir(run.checkpoints):
        path = run.checkpoints / name
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    save(run, 100, arrays(1), {}, ("best",))  # and was killed before the link `last`
    save(run, 100, arrays(2), {}, ("best", "last"))
    for which in ("best", "last"):
        assert same_arrays(load(run, which).groups, arrays(2))


def test_a_damaged_step_is_replaced(run: RunDirectory):
    (run.checkpoints / "100" / "weights.safetensors").write_bytes(b"")
    save(run, 100, arrays(1), {}, ("last",))
    assert same_arrays(load(run).groups, arrays(1))


def test_a_moved_run_loads(run: RunDirectory, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(run.path, tmp_path / "elsewhere" / "renamed")
    assert load(tmp_path / "elsewhere" / "renamed").step == 100


def test_every_flipped_bit_and_truncation_names_the_file(
    run: RunDirectory, record_property: Any, long_run: bool
):
    rng = random.Random(0)
    folder = run.checkpoints / "100"
    names = sorted(os.listdir(folder))
    assert len(names) == 5
    trials = 20_000 if long_run else 600
    record_property("tries", trials)
    for trial in range(trials):
        path = folder / names[trial % len(names)]
        raw = path.read_bytes()
        at = rng.randrange(len(raw))
        if trial % 6:
            changed = bytearray(raw)
            changed[at] ^= 1 << rng.randrange(8)
        else:
            changed = bytearray(raw[:at])
        path.write_bytes(changed)
        refused(run, str(path))
        path.write_bytes(raw)
    for name in names:
        path = folder / name
        raw = path.read_bytes()
        for changed in (raw[:-1], raw + b" ", b" " + raw, b""):
            path.write_bytes(changed)
            refused(run, str(path))
        path.write_bytes(raw)
    assert load(run).step == 100


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json"])
def test_missing_extra_linked_and_special_files_are_refused(
    run: RunDirectory, tmp_path: Path, name: str
):
    def fresh() -> tuple[RunDirectory, Path]:
        copy = copy_run(run, tmp_path / "copy")
        return copy, copy.checkpoints / "100" / name

    copy, path = fresh()
    path.unlink()
    refused(copy, str(path), "missing")
    copy, path = fresh()
    (path.parent / "extra.py").write_text("")
    refused(copy, "extra.py", "does not belong")
    copy, path = fresh()
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    refused(copy, str(path), "link")
    copy, path = fresh()
    path.unlink()
    os.mkfifo(path)
    refused(copy, str(path), "regular file")
    copy, path = fresh()
    path.unlink()
    path.mkdir()
    refused(copy, str(path))


def test_links_lead_nowhere_but_to_a_checkpoint_beside(run: RunDirectory, tmp_path: Path):
    link = run.checkpoints / "last"
    shutil.copytree(run.checkpoints / "100", tmp_path / "100")
    for target in (str(tmp_path / "100"), "../../100", "100/", "best", ".", "x", "0100"):
        link.unlink()
        link.symlink_to(target)
        refused(run, str(link), "no checkpoint of this run")
    link.unlink()
    shutil.copytree(run.checkpoints / "100", link)
    refused(run, str(link), "not a link")
    shutil.rmtree(link)
    link.symlink_to("7")
    refused(run, str(run.checkpoints / "7"), "missing")
    (run.checkpoints / "7").symlink_to(tmp_path / "100")
    refused(run, str(run.checkpoints / "7"), ": is a link")
    refused(run, "../x", which="../x")
    link.unlink()
    refused(run, "no checkpoint 'last'")
    assert load(run).step == 100
    shutil.move(run.checkpoints, tmp_path / "moved")
    run.checkpoints.symlink_to(tmp_path / "moved")
    refused(run, f"{run.checkpoints}: is a link", which="best")


@pytest.mark.parametrize("name", ["../state.json", "/etc/passwd", ".hidden", "a/b", "manifest.json",
                                  "weights.pt", "", "Weights.safetensors/"])  # fmt: skip
def test_a_manifest_can_only_name_its_own_files(run: RunDirectory, name: str):
    folder = run.checkpoints / "100"
    files = json.loads((folder / "manifest.json").read_text())["files"]
    reseal(folder, files={**files, name: files["state.json"]})
    refused(run, str(folder / "manifest.json"))


@pytest.mark.parametrize("files", [None, [], {"state.json": 3}, {"state.json": {"size": 1}},
    {"state.json": {"size": True, "sha256": "0" * 64}},
    {"state.json": {"size": 1, "sha256": "0" * 63}}, {}])  # fmt: skip
def test_a_manifest_of_another_form_is_refused(run: RunDirectory, files: Any):
    folder = run.checkpoints / "100"
    found = json.loads((folder / "manifest.json").read_text()) | {"files": files}
    del found["sha256"]
    found["sha256"] = manifest.sha256(manifest._canonical(found))
    (folder / "manifest.json").write_bytes(manifest._canonical(found))
    refused(run, str(folder))


def test_a_newer_version_says_which_is_needed(run: RunDirectory):
    folder = run.checkpoints / "100"
    reseal(folder, format_version=2, charlm_version="9.1.0")
    message = refused(run, str(folder / "manifest.json"), "charlm 9.1.0", "format 2")
    assert "up to 1" in message
    reseal(folder, format_version=2, charlm_version="\x1b[31m\nhello")
    assert "\x1b" not in refused(run, "a newer charlm")
    for version in (0, "1", None, 1.0, True):
        reseal(folder, format_version=version)
        refused(run, "format version")


def test_a_checkpoint_under_another_number_is_refused(run: RunDirectory):
    (run.checkpoints / "100").rename(run.checkpoints / "200")
    refused(run, "manifest.json", "step 200", which=200)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_arrays_are_neither_saved_nor_loaded(run: RunDirectory, bad: float):
    groups = arrays(2)
    groups["weights"]["cell.bias"][3] = bad
    with pytest.raises(DivergedError, match=r"cell\.bias.*step 200"):
        save(run, 200, groups, {})
    assert sorted(os.listdir(run.checkpoints)) == ["100", "best", "last"]
    from charlm.runs.tensors import encode

    folder = run.checkpoints / "100"
    (folder / "weights.safetensors").write_bytes(encode(groups["weights"]))
    reseal(folder)
    refused(run, str(folder / "weights.safetensors"), "'cell.bias'", "NaN")


def deep(levels: int) -> str:
    return '{"a":' + "[" * levels + "]" * levels + "}"


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', deep(DEPTH_LIMIT), deep(200_000), '{"a": NaN}',
     '{"a": Infinity}', '{"a": 1e999}', "[]", "1", "", "{", '{"a": ' + "9" * 5000 + "}",
     '{"a": "\udcff"}'],
)  # fmt: skip
def test_hostile_state_is_refused_at_once(run: RunDirectory, text: str):
    folder = run.checkpoints / "100"
    (folder / "state.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    reseal(folder)
    start = time.perf_counter()
    refused(run, str(folder / "state.json"))
    assert time.perf_counter() - start < 1


def test_a_state_that_json_would_change_is_not_saved(run: RunDirectory):
    for state in ({"a": (1, 2)}, {1: 2}, {"a": float("nan")}, {"a": np.float32(1)}, {"a": {1}}):
        with pytest.raises(CharlmError, match="state"):
            save(run, 200, arrays(2), state)
    assert sorted(os.listdir(run.checkpoints)) == ["100", "best", "last"]


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.text() | st.integers(-(2**70), 2**70)
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_states_round_trip_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, state: Any):
    run = RunDirectory.create(tmp_path_factory.mktemp("run") / "r")
    save(run, 1, {}, state)
    found = load(run).state
    assert found == state and repr(found) == repr(state)  # repr tells -0.0 from 0.0
