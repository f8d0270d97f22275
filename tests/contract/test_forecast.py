"""`charlm quantise` and `charlm forecast`: a series goes on; every option changes something."""

import json
from pathlib import Path
from typing import Any

import pytest

import charlm
from contract.command import QUICK, call
from contract.command import charlm as run_charlm

WAVE = [60, 64, 68, 72, 76, 72, 68, 64]


def wave(count: int) -> list[float]:
    return [WAVE[place % len(WAVE)] + 0.3 * (place % 3) for place in range(count)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series")
    values = [f"{value:.1f}" for value in wave(1200)]
    for number in range(7, 1200, 90):
        values[number] = ""
    rows = [f"{minute},{value}" for minute, value in enumerate(values)]
    (folder / "hr.csv").write_text("\n".join(["minute,bpm", *rows]) + "\n", "utf-8")
    (folder / "new.txt").write_text("".join(f"{value}\n" for value in wave(80)), "utf-8")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    text = place / "hr.words"
    done = call("quantise", place / "hr.csv", "--column", "bpm", "--step", "2", "--out", text)
    assert done.code == 0 and done.out == "", done.err
    assert "1,200 values (14 missing) in steps of 2: 5 words" in done.err
    charlm.train(
        [text], place / "run", preset="series", steps=150, hidden_size=24, embedding_size=12,
        batch_size=4, bptt=24, lr=0.02, precision="fp32", device="cpu", threads=1,
    )  # fmt: skip
    return place / "run"


def forecast(*arguments: str | Path) -> dict[str, Any]:
    done = call("forecast", *arguments, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_series_becomes_words(place: Path) -> None:
    series = place / "new.txt"
    assert call("quantise", series, "--step", "10").out.startswith("60 60 70 70 80 70")
    done = json.loads(call("quantise", series, "--json").out)
    assert (done["values"], done["missing"], done["step"]) == (80, 0, 0.5)
    assert done["text"].startswith("60.0 64.5 68.5 72.0")
    to_file = json.loads(call("quantise", series, "--json", "--out", place / "x").out)
    assert (place / "x").read_text("utf-8") == done["text"] and to_file["file"].endswith("x")
    piped = run_charlm("quantise", "--step", "2", stdin=b"1\r\n\n-1\n")
    assert (piped.code, piped.out) == (0, "2 ? 0\n")
    for wrong in ("0", "nan", "-1"):
        assert call("quantise", series, "--step", wrong).code == 2
    no_header = call("quantise", place / "hr.csv", "--column", "1", "--no-header")
    assert no_header.code == 3 and "row 1 ('bpm')" in no_header.err
    assert call("quantise", series, "--no-header").code == 2
    assert call("quantise", place / "hr.csv", "--column", "none").code == 3
    assert call("quantise", series, "--encoding", "utf-16").code == 3
    (place / "bad").write_bytes(b"86\n8\xff6\n")
    assert "not valid" in call("quantise", place / "bad").err
    replaced = call("quantise", place / "bad", "--errors", "replace")
    assert replaced.code == 3 and "line 2" in replaced.err


def test_the_wave_goes_on(run: Path, place: Path) -> None:
    found = forecast(run, place / "new.txt", "--horizon", "8")
    assert list(found) == ["run", "horizon", "values", "median", "band_50", "band_90"]
    assert len(found["median"]) == 8
    for value, true in zip(found["median"], wave(88)[80:], strict=True):
        assert abs(value - true) < 2.5
    for inner, outer in zip(found["band_50"][0], found["band_90"][0], strict=True):
        assert outer <= inner
    lines = call("forecast", run, place / "new.txt", "--horizon", "8").out.splitlines()
    assert lines[0] == "step\t5%\t25%\tmedian\t75%\t95%" and len(lines) == 9
    row = [float(cell) for cell in lines[1].split("\t")]
    assert row[0] == 1 and row[1:] == sorted(row[1:])
    assert row[3] == pytest.approx(found["median"][0], rel=1e-5)
    column = forecast(run, place / "hr.csv", "--column", "bpm", "--horizon", "1")
    assert column["values"] == 1200


def test_draws_follow_seed_and_number(run: Path, place: Path) -> None:
    series = place / "new.txt"
    usual = forecast(run, series)
    assert usual == forecast(run, series, "--seed", "1", "--paths", "200", "--horizon", "20")
    assert usual != forecast(run, series, "--seed", "2")
    assert usual != forecast(run, series, "--paths", "300")


def test_values_never_seen_and_missing_ones_are_read_and_said(run: Path) -> None:
    series = b"\n200\n64\n?\nNA\n-1e300\n68\n"
    done = run_charlm("forecast", run, "-", "--horizon", "2", stdin=series)
    assert done.code == 0 and len(done.out.splitlines()) == 3
    assert "2 values are outside of what the run has learned, 60 to 76" in done.err
    assert "3 values are missing: read as missing." in done.err
    one = run_charlm("forecast", run, "--horizon", "2", stdin=b"64\n")
    assert one.code == 0 and "outside" not in one.err and "missing" not in one.err


def test_held_out_values_are_forecast_and_compared(run: Path, place: Path) -> None:
    about = (run, place / "hr.csv", "--column", "bpm", "--held-out", "40", "--horizon", "4")
    found = forecast(*about)
    assert list(found["by"]) == ["model", "persistence", "moving average"]
    assert (found["forecasts"], found["average"]) == (10, 4)
    model, still = (found["by"][name]["absolute_error"] for name in ("model", "persistence"))
    assert len(model) == 4 and sum(model) < 0.5 * sum(still)
    pinball = [sum(found["by"][name]["pinball"]) for name in found["by"]]
    assert pinball[0] < min(pinball[1:])
    assert forecast(*about, "--every", "2")["forecasts"] == 19
    eight = forecast(*about, "--average", "8")["by"]
    assert eight["moving average"] != found["by"]["moving average"]
    assert eight["model"] == found["by"]["model"]
    lines = call("forecast", *about).out.splitlines()
    assert lines[0].split("\t")[:3] == ["forecast", "step", "absolute error"]
    assert {tuple(line.split("\t")[:2]) for line in lines[1:]} >= {
        ("model", "1"), ("persistence", "4"), ("moving average", "all"),
    }  # fmt: skip


def test_pictures(run: Path, place: Path) -> None:
    for more, shown in (((), "90 %"), (("--held-out", "20"), "what came")):
        out = place / f"a{len(more)}.svg"
        title = ("--out", out, "--title", "made up: $x$")
        done = call("forecast", run, place / "new.txt", "--horizon", "5", *more, *title)
        assert done.code == 0 and len(done.out.splitlines()) > 5, done.err
        svg = out.read_text("utf-8")
        assert shown in svg and "made up: $x$" in svg
    assert call("forecast", run, place / "new.txt", "--out", "a.txt").code == 2
    assert call("forecast", run, place / "new.txt", "--title", "x").code == 2


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--horizon", "0"), 2, "--horizon"),
        (("--paths", "1"), 2, "--paths"),
        (("--seed", "-1"), 2, "--seed"),
        (("--every", "3"), 2, "--held-out"),
        (("--average", "3"), 2, "--held-out"),
        (("--held-out", "0"), 2, "--held-out"),
        (("--held-out", "19"), 3, "--horizon 20"),
        (("--held-out", "80"), 3, "80 of 80 values"),
        (("--column", "bpm"), 3, "column"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Path, place: Path, options: tuple[str, ...], code: int, told: str
) -> None:
    done = call("forecast", run, place / "new.txt", *options)
    assert (done.code, told in done.err) == (code, True), done.err


def test_runs_that_know_no_series_are_refused(
    tiny_run: Path, run: Path, place: Path, tmp_path: Path
) -> None:
    done = call("forecast", tiny_run, place / "new.txt")
    assert done.code == 4 and "charlm quantise" in done.err
    back = tmp_path / "back"
    text = place / "hr.words"
    words = ("--preset", "series", "--direction", "backward", *QUICK)
    assert call("train", text, "--out", back, *words).code == 0
    done = call("forecast", back, place / "new.txt")
    assert done.code == 2 and "--direction forward" in done.err


def test_any_cell_and_an_exported_file_forecast(place: Path, run: Path, tmp_path: Path) -> None:
    assert call("export", run, tmp_path / "hr.charlm").code == 0
    about = (place / "new.txt", "--horizon", "2")
    exported, found = (forecast(one, *about) for one in (tmp_path / "hr.charlm", run))
    assert exported["median"] == found["median"]
    other = tmp_path / "conv"
    words = ("--preset", "series", "--cell", "conv", *QUICK)
    assert call("train", place / "hr.words", "--out", other, *words).code == 0
    assert len(forecast(other, *about)["median"]) == 2
