"""scripts/speedrun.py: the text of each track is cut as said, and a row says what was measured."""

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import charlm

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import speedrun
from benchmarks import records, tracks
from benchmarks.records import Row

TEXT = b"abcdefghi\n" * 11 + b"xyz"


@pytest.fixture
def shakespeare(monkeypatch: pytest.MonkeyPatch) -> None:
    known = tracks.TEXTS["tiny-shakespeare"]
    this = replace(known, sha256=hashlib.sha256(TEXT).hexdigest())
    monkeypatch.setitem(tracks.TEXTS, "tiny-shakespeare", this)


@pytest.mark.parametrize("layout", ["as distributed", "by get_corpus.py"])
def test_the_last_tenth_is_for_validation(layout: str, shakespeare: None, tmp_path: Path) -> None:
    cut = len(TEXT) * 9 // 10
    files = {"tinyshakespeare/input.txt": TEXT}
    if layout == "by get_corpus.py":
        files = {"tiny-shakespeare/train.txt": TEXT[:cut], "tiny-shakespeare/valid.txt": TEXT[cut:]}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    course = tracks.prepare(tracks.TRACKS["shakespeare-3"], tmp_path, tmp_path / "work")
    train, option, valid = course.training
    assert Path(train).read_bytes() == TEXT[:cut] and option == "--valid"
    assert course.measured == {"valid": Path(valid)} and Path(valid).read_bytes() == TEXT[cut:]


def test_words_keep_their_own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "wikitext-2"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"{part}.txt").write_text(f" {part} \n")
    this = replace(
        tracks.TEXTS["wikitext-2"], sha256=hashlib.sha256(b" valid \n test \n").hexdigest()
    )
    monkeypatch.setitem(tracks.TEXTS, "wikitext-2", this)
    course = tracks.prepare(tracks.TRACKS["wikitext-2-60"], tmp_path, tmp_path / "work")
    assert course.training[:5] == [
        str(folder / "train.txt"), "--valid", str(folder / "valid.txt"), "--test",
        str(folder / "test.txt"),
    ]  # fmt: skip
    assert "--word-oov" in course.training and set(course.measured) == {"valid", "test"}
    assert not (tmp_path / "work").exists()


def test_another_text_or_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speedrun.main(["shakespeare-3"]) == 2
    assert "get_corpus.py tiny-shakespeare" in capsys.readouterr().err
    assert speedrun.main(["shakespeare-3", "--data", str(tmp_path)]) == 3
    assert "does not hold" in capsys.readouterr().err
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare/input.txt").write_bytes(TEXT)
    assert speedrun.main(["shakespeare-3", "--data", str(tmp_path)]) == 3
    assert hashlib.sha256(TEXT).hexdigest() in capsys.readouterr().err
    assert speedrun.main(["notes-1", "--cores", "100000"]) == 2
    assert speedrun.main(["notes-1", "--minutes", "2", "--record", "x"]) == 2


def result(nats: float, seconds: float) -> speedrun.Result:
    figures = {"nats_per_token": nats, "perplexity": 100 * nats, "limit": {"gap": nats / 10}}
    valid = figures | {"dynamic": {"nats_per_token": nats - 0.5, "perplexity": 7 * nats}}
    return speedrun.Result(
        seconds, {"steps": 1000}, {"valid": valid, "test": valid}, {"nats_per_token": nats + 0.25}
    )


def test_a_row_has_means_and_the_slowest_run() -> None:
    row = speedrun.row_of("notes-1", [result(1.0, 59.0), result(2.0, 60.0)], "all | new", "2 cores")
    assert (row.seconds, row.steps) == ("60.0", "1,000, 1,000")
    assert row.stateful == "1.5000 (1.0000, 2.0000)"
    assert row.windows == "1.7500 (1.2500, 2.2500)"
    assert row.more == (
        "dynamic 1.0000 (0.5000, 1.5000); 15.0% above its source; test perplexity 150.0; "
        "dynamic 10.5"
    )
    assert row.line().count("|") == 11 and "all \\| new" in row.line()
    assert speedrun.row_of("notes-1", [result(1.0, 59.0)], "", "").stateful == "1.0000"


def test_records_are_added_in_order_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "RECORDS.md"
    path.write_text("# Records\n\n## Other\n\n| a |\n|---|\n| 1 |\n")
    before = path.read_text()
    row = Row("t", "1", "2", "3", "4", "", "first", "m", "c")
    records.append(path, row)
    begun = path.read_text()
    assert begun.startswith(before) and begun.endswith(row.line())
    path.write_text(begun + "\n## Later\n\n| b |\n")
    second = replace(row, about="second")
    records.append(path, second)
    assert path.read_text() == begun + second.line() + "\n## Later\n\n| b |\n"


def test_a_race_by_the_rules(tmp_path: Path) -> None:
    """The command on the cores it is given; what it measures is what `charlm evaluate` says."""
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat.\n" * 200)
    course = tracks.Course([str(text)], {"valid": text})
    options = ["--hidden-size", "8", "--layers", "1", "--threads", "1", "--precision", "fp32"]
    cores = sorted(os.sched_getaffinity(0))[:1] if sys.platform == "linux" else None
    run = tmp_path / "run"
    found = speedrun.race(course, ["--steps", "3"], options, run, cores, adapt=False)
    assert found.summary["steps"] == 3 and 0 < found.seconds < 600
    model = charlm.load(run)
    expected = model.evaluate([text])["nats_per_token"]
    windows = model.evaluate([text], window=speedrun.WINDOW)["nats_per_token"]
    assert found.stateful["valid"]["nats_per_token"] == pytest.approx(expected, rel=1e-5)
    assert found.windows["nats_per_token"] == pytest.approx(windows, rel=1e-5)
    assert windows > expected
    assert json.loads((run / "summary.json").read_text())["steps"] == 3
