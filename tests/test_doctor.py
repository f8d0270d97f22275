"""What the doctor finds: true figures, and what is wrong where something is."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import torch
from contract.command import call

import charlm
from charlm import api, doctor, registry
from charlm.cli.doctor import _rows as doctor_rows
from charlm.model import self_test
from charlm.model.kernels import sequence
from charlm.training.precision import ProductRates


def test_everything_is_right_here_and_the_command_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("doctor", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["problems"] == [] and found["versions"]["torch"] == torch.__version__
    assert found["disk"]["path"] == str(tmp_path) and found["disk"]["writable"]
    kernels = {(check["cell"], check["kernel"], check["precision"]) for check in found["kernels"]}
    assert kernels == {
        (cell, kernel, precision)
        for cell in registry.CELLS
        for kernel in ("fused", "auto")
        for precision in ("fp32", "bf16")
    }
    assert found["threads"]["chosen"] <= found["threads"]["allowed"]
    assert list(tmp_path.iterdir()) == []
    shown = call("doctor").out
    assert "kernel gru-cho fused bf16\tright" in shown and "GiB free" in shown


@pytest.mark.parametrize("gradient", [False, True], ids=["forward", "backward"])
def test_a_kernel_that_computes_something_else_is_found(monkeypatch, gradient):
    right = sequence.run

    def wrong(*arguments):
        y, state = right(*arguments)
        if gradient:
            y.register_hook(lambda g: g * 1.01)
            return y, state
        return y * 1.001, state

    monkeypatch.setattr(sequence, "run", wrong)
    found = {check.cell: check for check in self_test.check_kernels() if check.kernel == "fused"
             and check.precision == "fp32"}  # fmt: skip
    assert found.keys() == registry.CELLS.keys()
    assert not any(check.right for check in found.values())
    ended = call("doctor")
    assert ended.code == 1 and "the fused kernel of gru in fp32 is off by" in ended.err


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_problems(tmp_path, monkeypatch):
    assert "cannot be written" in api.doctor(tmp_path / "nothing")["problems"][0]
    monkeypatch.setattr("charlm.doctor._LITTLE_DISK", 2**80)
    assert "MiB free" in api.doctor(tmp_path)["problems"][0]


def test_every_library_that_charlm_needs_is_looked_at():
    project = tomllib.loads((Path(charlm.__file__).parents[1] / "pyproject.toml").read_text())
    needed = {re.split("[<>=~]", each)[0] for each in project["project"]["dependencies"]}
    assert needed == set(doctor._DISTRIBUTIONS)


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.doctor._DISTRIBUTIONS", ("torch", "no-such-library"))
    assert api.doctor(tmp_path)["problems"] == ["no-such-library is not installed"]


def test_it_goes_on_where_things_are_missing(tmp_path, monkeypatch):
    def none():
        raise FileNotFoundError(2, "no usable place")

    def broken(problems):
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr("tempfile.gettempdir", none)
    monkeypatch.setattr(doctor, "_computing", broken)
    found = api.doctor(tmp_path)
    assert found["versions"]["torch"] and found["memory_bytes"] and found["temporary"] is None
    assert ("temporary", "none") in doctor_rows(found)
    one, other = found["problems"]
    assert "no folder for temporary files" in one and "libgomp" in other


@pytest.mark.parametrize(
    ("rates", "best", "said"),
    [
        (ProductRates(100.0, 300.0, True), "bf16", "3.0 times the rate of fp32, and are taken"),
        (ProductRates(100.0, 110.0, True), "fp32", "1.1 times the rate of fp32, and are not"),
        (ProductRates(100.0, 300.0, False), "fp32", "wrong on this machine"),
    ],
)
def test_the_precision_has_its_reason(rates, best, said):
    assert rates.best == best and said in rates.reason
