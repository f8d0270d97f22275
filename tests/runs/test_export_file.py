"""The exported file: whole, lean, and refused if a bit of it is not as written."""

import json
import os
import pickle
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_faults import TOKENIZER, arrays, failing_call
from safetensors.numpy import load_file

from charlm.errors import MachineError, RunError, UsageError
from charlm.runs.checkpoint import save
from charlm.runs.directory import RunDirectory
from charlm.runs.export import export_run, read_model

CONFIG = {"kind": "language-model", "tokenizer": "char", "hidden_size": 3, "dropout": 0.1}


@pytest.fixture
def exported(run: RunDirectory, tmp_path: Path) -> Path:
    path = tmp_path / "out" / "mine.charlm"
    path.parent.mkdir()
    export_run(run, path, CONFIG)
    return path


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_an_exported_file_holds_the_model_and_nothing_else(run: RunDirectory, exported: Path):
    found = read_model(exported)
    assert (found.kind, found.step, found.path, found.state) == ("file", 100, exported, {})
    assert found.config == CONFIG and found.tokenizer_files == TOKENIZER
    weights = arrays(1)["weights"]
    assert found.weights.keys() == weights.keys()
    assert all(np.array_equal(found.weights[name], weights[name]) for name in weights)
    # Any reader of safetensors can take the weights out.
    assert load_file(exported).keys() == weights.keys()
    assert os.listdir(exported.parent) == ["mine.charlm"]
    raw = exported.read_bytes()
    assert str(run.path).encode() not in raw and b"loss" not in raw and b"embedding.m" not in raw


def test_files_go_along_byte_by_byte(run: RunDirectory, exported: Path):
    files = {"words.txt": "tea\nägg\n".encode(), "empty": b""}
    export_run(run, exported, CONFIG, along=files)
    found = read_model(exported)
    assert found.along == files and found.weights.keys() == arrays(1)["weights"].keys()


@pytest.mark.parametrize("name", ["along/../x", "along/", "along/a/b"])
def test_a_file_that_goes_along_has_a_plain_name(run: RunDirectory, exported: Path, name: str):
    export_run(run, exported, CONFIG, along={name.removeprefix("along/"): b"x"})
    with pytest.raises(RunError, match="no plain name"):
        read_model(exported)


def test_a_run_reads_as_a_stored_model(run: RunDirectory):
    save(run, 110, arrays(2), {"a": 1})
    found = read_model(run.path)
    assert (found.kind, found.step, found.path) == ("run", 100, run.path)
    assert found.config == {"model": {"cell": "lstm", "hidden_size": 3}}
    assert found.tokenizer_files == TOKENIZER and found.state == {"step": 100, "loss": 0.1}
    last = read_model(str(run.path), "last")
    assert last.step == 110 and last.state == {"a": 1}
    assert np.array_equal(last.weights["embedding"], arrays(2)["weights"]["embedding"])


def test_the_same_run_gives_the_same_bytes(run: RunDirectory, exported: Path):
    for _ in range(5):
        export_run(run, exported.with_name("again"), dict(reversed(CONFIG.items())))
        assert exported.with_name("again").read_bytes() == exported.read_bytes()


def test_every_flipped_bit_and_truncation_names_the_file(exported: Path, record_property: Any):
    rng = random.Random(1)
    raw = exported.read_bytes()
    positions = list(range(16)) + [rng.randrange(len(raw)) for _ in range(500)]
    record_property("tries", len(positions))
    for trial, at in enumerate(positions):
        changed = bytearray(raw)
        changed[at] ^= 1 << rng.randrange(8)
        exported.write_bytes(changed if trial % 5 else raw[:at])
        with pytest.raises(RunError) as caught:
            read_model(exported)
        assert str(exported) in caught.value.what and caught.value.exit_code == 4
    exported.write_bytes(raw + b"\0")
    with pytest.raises(RunError):
        read_model(exported)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.bin", "model"])
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_refused_and_not_run(tmp_path: Path, name: str, protocol: int):
    path, sign = tmp_path / name, tmp_path / "ran"
    path.write_bytes(pickle.dumps(Bomb(sign), protocol=protocol))
    with pytest.raises(RunError) as caught:
        read_model(path)
    assert str(path) in caught.value.what and not sign.exists()
    if protocol >= 2 or name != "model":
        assert "pickle" in caught.value.what
    with pytest.raises(RunError):
        RunDirectory.open(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(sign)))
    with pytest.raises(RunError, match="pickle or an archive"):
        read_model(path)
    assert not sign.exists()


def test_a_header_length_that_looks_like_a_pickle_is_no_pickle(
    run: RunDirectory, exported: Path, tmp_path: Path
):
    """Files whose first byte is 0x80 (a header of 0x...80 bytes) are among the good ones."""
    starts = set()
    for padding in range(0, 300, 4):
        export_run(run, exported, {"padding": "x" * padding})
        assert read_model(exported).config == {"padding": "x" * padding}
        starts.add(exported.read_bytes()[0])
    assert 0x80 in starts


def rewritten(path: Path, **changes: str) -> None:
    """The metadata changed, with a hash that agrees: a hostile or foreign writer."""
    from charlm.runs import export

    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header["__metadata__"] |= {"sha256": "0" * 64, **changes}
    text = json.dumps(header, separators=(",", ":")).encode()
    raw = len(text).to_bytes(8, "little") + text + raw[8 + length :]
    path.write_bytes(raw.replace(b"0" * 64, export.sha256(raw).encode(), 1))


def test_a_newer_or_foreign_file_is_refused(exported: Path):
    rewritten(exported)
    assert read_model(exported).step == 100
    raw = exported.read_bytes()
    cases = [
        ({"format_version": "2", "charlm_version": "3.0"}, "charlm 3.0"),
        ({"format_version": "x"}, "format version"),
        ({"format": "other"}, "is not the model"),
        ({"config": "[]"}, "JSON object"),
        ({"config": '{"a":1,"a":2}'}, "twice"),
        ({"tokenizer": '{"../x":""}'}, "plain name"),
        ({"tokenizer": '{"x":"*"}'}, "tokenizer"),
        ({"tokenizer": '{"x":1}'}, "tokenizer"),
        ({"step": "x"}, "step"),
    ]
    for changes, message in cases:
        exported.write_bytes(raw)
        rewritten(exported, **changes)
        with pytest.raises(RunError, match=message):
            read_model(exported)
    # safetensors of another program.
    from charlm.runs.tensors import encode

    exported.write_bytes(encode(arrays(1)["weights"]))
    with pytest.raises(RunError, match="is not the model"):
        read_model(exported)


def test_places_that_cannot_hold_the_file(run: RunDirectory, tmp_path: Path):
    # A pipe of the test's own stands for devices: were the check gone, as root the export
    # would replace the real one.
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for place in (tmp_path, tmp_path / "no" / "file", tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(UsageError, match=place.name):
            export_run(run, place, CONFIG)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()


def test_a_full_disk_leaves_the_old_file(run: RunDirectory, exported: Path):
    old = exported.read_bytes()
    save(run, 110, arrays(2), {}, ("best", "last"))
    number, named, failed = 1, set(), ["first"]
    while failed:
        with failing_call(number) as failed:
            try:
                export_run(run, exported, CONFIG)
            except MachineError as error:
                named.add(error.what.split(":")[0])
                # Only when the folder is put on disk has the replacement happened.
                assert exported.read_bytes() == old or failed in (["fsync"], ["open"])
        assert os.listdir(exported.parent) == [exported.name]
        assert read_model(exported).step in (100, 110)
        exported.write_bytes(old)
        number += 1
    assert f"could not write {exported}" in named


def test_links_to_files_and_runs_by_their_user_are_followed(
    run: RunDirectory, exported: Path, tmp_path: Path
):
    (tmp_path / "link").symlink_to(exported)
    assert read_model(tmp_path / "link").step == 100
    (tmp_path / "runlink").symlink_to(run.path)
    assert read_model(tmp_path / "runlink").step == 100


def test_a_run_with_a_broken_configuration_or_tokenizer(run: RunDirectory):
    for text, message in [
        ("a = ", "TOML"), ("a = 1\na = 2", "TOML"), ("a = " + "[" * 100_000, "deeply"),
    ]:  # fmt: skip
        run.write_config(text)
        with pytest.raises(RunError, match=message):
            read_model(run.path)
    run.config_path.write_bytes(b"\xff")
    with pytest.raises(RunError, match="UTF-8"):
        read_model(run.path)
    run.write_config("")
    shutil.rmtree(run.tokenizer)
    with pytest.raises(RunError, match="tokenizer: is missing"):
        read_model(run.path)
