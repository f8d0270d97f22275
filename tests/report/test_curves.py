"""The pictures and the table of runs hold what their metrics hold."""

import json
from pathlib import Path

import pytest
from contract.command import call, on_terminal

import charlm
from charlm import api
from charlm.errors import RunError
from charlm.report.curves import compared_curves, run_curves
from charlm.runs.metrics import read_metrics
from report.pictures import curves, texts

SETTINGS = {
    "steps": 9, "batch_size": 3, "bptt": 8, "eval_every": 4, "report_every": 2,
    "precision": "fp32", "device": "cpu", "threads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A GRU of characters, and a plain network of words that may lose some; hostile names."""
    folder = tmp_path_factory.mktemp("compared")
    paths = [folder / "_one $x$", folder / "two"]
    charlm.train([tiny_text], paths[0], cell="gru", hidden_size=8, **SETTINGS)
    charlm.train(
        [tiny_text],
        paths[1],
        cell="rnn",
        tokenizer="word",
        word_oov="unk",
        hidden_size=9,
        **SETTINGS,
    )
    return paths


def scaled(values: list[float], logarithmic: bool = False) -> list[float]:
    """To what the axis of a picture makes of them, but for place and size."""
    import math

    values = [math.log(v) for v in values] if logarithmic else values
    low, high = min(values), max(values)
    return [(v - low) / (high - low) for v in values]


def test_a_picture_shows_every_report(runs: list[Path], tmp_path: Path) -> None:
    done = call("plot", runs[0], "--out", tmp_path / "a.svg")
    assert (done.code, done.out) == (0, f"{tmp_path / 'a.svg'}\n")
    svg = (tmp_path / "a.svg").read_text("utf-8")
    records = [r for r in read_metrics(runs[0] / "metrics.jsonl") if r["split"] == "train"]
    drawn = [line for line in curves(svg) if len(line) == len(records) == 5]
    for key in ("nats_per_token", "lr", "gradient_norm"):
        wanted = scaled([r[key] for r in records])
        assert any(
            scaled([-y for _, y in line]) == pytest.approx(wanted, abs=1e-3) for line in drawn
        ), key
    assert {
        "learning rate",
        "norm of the gradient, uncut",
        "validation (bits per character)",
    } <= set(texts(svg))


def test_plot_json_holds_the_numbers(tiny_run: Path, tmp_path: Path) -> None:
    found = json.loads(call("plot", tiny_run, "--out", tmp_path / "a.png", "--json").out)
    assert found["picture"] == str(tmp_path / "a.png")
    records = read_metrics(tiny_run / "metrics.jsonl")
    valid = [r for r in records if r["split"] == "valid"]
    assert found["series"]["valid.bits_per_character"] == {
        "step": [r["step"] for r in valid],
        "value": [r["bits_per_character"] for r in valid],
    }


def test_plot_without_out_writes_beside_the_run(tiny_run: Path) -> None:
    picture = tiny_run.with_name("tiny-plot.svg")
    assert call("plot", tiny_run).out == f"{picture}\n"
    picture.unlink()
    assert not list(tiny_run.glob("*.svg"))


def test_compare_shows_what_differs_and_what_was_reached(runs: list[Path], tmp_path: Path) -> None:
    done = call("compare", *runs, "--out", tmp_path / "c.svg")
    assert done.code == 0, done.err
    rows = [line.split("\t") for line in done.out.splitlines()]
    table = {row[0]: row[1:] for row in rows}
    assert table[""] == [str(run) for run in runs]
    assert table["model.cell"] == ["gru", "rnn"]
    assert table["model.hidden_size"] == ["8", "9"]
    assert "optimisation.batch_size" not in table  # the same in both
    assert table["valid.bits_per_character"][1] == "-"  # unknown words have no characters
    summary = api.history(runs[0]).summary
    assert summary is not None
    shown = float(table["valid.bits_per_character"][0])
    assert shown == pytest.approx(summary["valid"]["bits_per_character"], rel=1e-5)
    svg = (tmp_path / "c.svg").read_text("utf-8")
    assert {str(run) for run in runs} <= set(texts(svg))
    # Two panels with a curve each for both: the words have no bits per character.
    assert "validation, nats per token" in texts(svg)
    assert sum(len(line) == 3 for line in curves(svg)) == 4


def test_compare_in_json_and_on_a_terminal(runs: list[Path]) -> None:
    found = json.loads(call("compare", *runs, "--json").out)
    assert found["runs"] == [str(run) for run in runs]
    assert found["figures"]["model.cell"] == ["gru", "rnn"]
    assert found["figures"]["valid.bits_per_character"][1] is None
    shown = on_terminal("compare", *runs).out.splitlines()
    (line,) = [line for line in shown if line.startswith("model.cell ")]
    assert line.split() == ["model.cell", "gru", "rnn"]
    assert "\t" not in "".join(shown)


def test_figures_of_different_texts_are_pointed_out(
    runs: list[Path], tiny_run: Path, words, tmp_path: Path
) -> None:
    assert "do not compare" not in call("compare", *runs).err
    other = tmp_path / "other.txt"
    other.write_text(words(3, 90), "utf-8")
    charlm.train([other], tmp_path / "run", hidden_size=8, **SETTINGS)
    said = call("compare", runs[0], tmp_path / "run").err
    assert "valid figures are of texts of different sizes" in said


def test_a_run_that_has_not_ended_is_compared_by_its_reports(
    runs: list[Path], tiny_run: Path, tmp_path: Path
) -> None:
    import shutil

    begun = tmp_path / "begun"
    shutil.copytree(runs[0], begun, symlinks=True)
    (begun / "summary.json").unlink()
    done = call("compare", begun, runs[0], "--json")
    figures = json.loads(done.out)["figures"]
    assert figures["steps"] == [9, 9]
    last = [r for r in read_metrics(begun / "metrics.jsonl") if r["split"] == "valid"][-1]
    assert figures["valid.bits_per_character"][0] == last["bits_per_character"]
    assert "has not ended" in done.err
    (begun / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match="has reported nothing yet"):
        run_curves(api.history(begun))
    with pytest.raises(RunError, match="no figure on validation texts in common"):
        compared_curves([api.history(begun), api.history(runs[0])])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("plot", "RUN", "--out", "a.pdf"), 2, "is to be a picture"),
        (("compare", "RUN", "RUN", "--out", "a"), 2, "is to be a picture"),
        (("compare", "RUN"), 2, "only one run is given"),
        (("plot", "nowhere"), 4, "does not exist"),
        (("compare", "RUN", "nowhere"), 4, "does not exist"),
        (("plot", "RUN", "--out", "no/where.svg"), 2, "no/where.svg"),
    ],
    ids=str,
)
def test_refusals(arguments, code, said, tiny_run: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*(str(tiny_run) if word == "RUN" else word for word in arguments))
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_metrics_that_hold_no_numbers_are_damaged(runs: list[Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs[0], tmp_path / "run", symlinks=True)
    for value in ('"a"', "[1]", "true", "1" + "0" * 400):
        line = f'{{"split": "train", "step": 1, "nats_per_token": {value}}}\n'
        (tmp_path / "run/metrics.jsonl").write_text(line)
        assert call("plot", tmp_path / "run", "--out", tmp_path / "a.svg").code == 4, value
