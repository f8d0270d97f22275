"""A corpus that comes with the bits of its source: how near a model is to them."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.command import QUICK, call

BITS = {"train": 9000.0, "valid": 400.0, "test": 300.0}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, words: Callable[[int, int], str]) -> Path:
    folder = tmp_path_factory.mktemp("known")
    (folder / "bits").mkdir()
    sums = []
    for seed, (name, bits) in enumerate(BITS.items()):
        text = words(seed, 60 if name == "train" else 5)
        (folder / f"{name}.txt").write_text(text, "utf-8")
        half = len(text) // 2
        (folder / "bits" / f"{name}.tsv").write_text(
            f"index\toffset\tlength\tbits\n0\t0\t{half}\t{bits / 4}\n"
            f"1\t{half}\t{half}\t{bits * 3 / 4}\n"
        )
        sums.append(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}.txt\n")
    (folder / "bits" / "SHA256SUMS").write_text("".join(sums))
    return folder


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run on the corpus, and its summary."""
    run = tmp_path_factory.mktemp("runs") / "known"
    parts = [word for part in ("valid", "test") for word in (f"--{part}", corpus / f"{part}.txt")]
    done = call("train", corpus / "train.txt", *parts, "--out", run, *QUICK, "--json")
    assert done.code == 0, done.err
    assert "gap to the limit" in done.err
    return run, json.loads(done.out)


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    done = call("evaluate", *arguments, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def check(figures: dict[str, Any], bits: float) -> None:
    needed = figures["nats_per_token"] * figures["tokens"] / math.log(2)
    assert list(figures["limit"]) == ["bits_per_character", "gap"]
    assert figures["limit"]["bits_per_character"] == pytest.approx(bits / figures["characters"])
    assert figures["limit"]["gap"] == pytest.approx((needed - bits) / bits)


def test_summary_holds_the_limit_of_each_part(trained: tuple[Path, dict[str, Any]]) -> None:
    _, summary = trained
    for part in ("valid", "test"):
        check(summary[part], BITS[part])


def test_evaluate_knows_it_of_the_run_and_of_a_text(
    trained: tuple[Path, dict[str, Any]], corpus: Path, tmp_path: Path
) -> None:
    run, summary = trained
    assert evaluated(run)["limit"] == pytest.approx(summary["test"]["limit"])
    check(evaluated(run, corpus / "train.txt"), BITS["train"])
    check(evaluated(run, corpus / "valid.txt", corpus / "test.txt"), BITS["valid"] + BITS["test"])
    assert call("export", run, tmp_path / "model.charlm").code == 0
    check(evaluated(tmp_path / "model.charlm", corpus / "valid.txt"), BITS["valid"])


def test_figures_that_adapt_have_the_same_limit(
    trained: tuple[Path, dict[str, Any]], corpus: Path
) -> None:
    ways = ("cache", "dynamic", "counts")
    figures = evaluated(trained[0], corpus / "valid.txt", *(f"--{way}" for way in ways))
    for name in ways:
        check(figures[name], BITS["valid"])
    assert figures["cache"]["limit"]["gap"] != figures["limit"]["gap"]


def test_people_read_the_gap_in_percent(trained: tuple[Path, dict[str, Any]], corpus: Path) -> None:
    done = call("evaluate", trained[0], corpus / "valid.txt")
    rows = dict(line.split("\t") for line in done.out.splitlines())
    assert f"the gap is {float(rows['limit.gap']):.1%}." in done.err


def test_there_is_none_where_it_is_not_known(
    trained: tuple[Path, dict[str, Any]], corpus: Path, tmp_path: Path
) -> None:
    run, _ = trained
    text = (corpus / "valid.txt").read_text("utf-8")
    (tmp_path / "new.txt").write_text(text, "utf-8")
    assert "limit" not in evaluated(run, tmp_path / "new.txt")
    assert "limit" not in evaluated(run, tmp_path / "new.txt", corpus / "valid.txt")
    # From empty states a model knows less than the source does.
    assert "limit" not in evaluated(run, corpus / "valid.txt", "--window", "7")
