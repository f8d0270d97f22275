"""Tables and pictures of a classifier hold its figures, with 3 classes and with hundreds."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charlm.evaluation.calibration import calibration_figures, probabilities_at
from charlm.evaluation.classification import figures, paired_bootstrap
from charlm.report.classifier_pictures import confusion_matrix, write_classifier_pictures
from charlm.report.classifier_tables import show_classifier, verdict, verdict_of_both
from charlm.report.console import Messages
from report.pictures import curves, read, texts


def summary(classes: int, n: int = 300, seed: int = 1, names: list[str] | None = None) -> Any:
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=n)
    logits = 2 * draw.standard_normal((n, classes)) + 4 * np.eye(classes)[labels]
    p = probabilities_at(logits)
    names = names or [f"class {number}" for number in range(classes)]
    answers = [p.argmax(1), labels]
    return {
        "temperature": 1.5,
        "valid": None,
        "test": figures(labels, p, names),
        "baseline": figures(labels, np.eye(classes)[labels], names),
        "comparison": paired_bootstrap(labels, answers[0], answers[1], 1, resamples=200),
        "calibration": {"part": "test"} | calibration_figures(logits, labels, 1.5),
    }


def shown(capsys: pytest.CaptureFixture[str], value: Any, quiet: bool = False) -> str:
    show_classifier(Messages(quiet=quiet), value)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_network_and_baseline_stand_side_by_side(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = summary(3)
    err = shown(capsys, found)
    for key, name in (("accuracy", "accuracy"), ("macro_f1", "macro F1"), ("nats", "nats")):
        numbers = f"{found['test'][key]:.3f} +{found['baseline'][key]:.3f}"
        assert re.search(f"{name} +{numbers}", err)
    for name, per in found["test"]["per_class"].items():
        cells = f"{per['precision']:.3f} +{per['recall']:.3f} +{per['f1']:.3f} +{per['n']} "
        assert re.search(f"{name} +{cells}", err)
    assert f"off by {found['calibration']['after']:.3f}" in err
    assert "The network LOSES to the baseline by" in err
    assert shown(capsys, found, quiet=True) == ""


def test_both_together_have_a_column_and_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = summary(3)
    assert "together" not in shown(capsys, found)
    found["together"] = found["test"] | {
        "accuracy": 0.123,
        "ahead_of": dict.fromkeys(("network", "baseline"), found["comparison"]),
    }
    err = shown(capsys, found)
    assert "both together, test" in err and "unlabelled" not in err
    assert re.search(
        rf"accuracy {found['test']['accuracy']:.3f} +{found['baseline']['accuracy']:.3f} +0\.123",
        re.sub(r"(accuracy) +", r"\1 ", err),
    )
    assert err.count("Both together (charlm classify --together) are BEHIND the network (") == 1
    found["words"] = found["test"] | {"accuracy": 0.456, "comparison": found["comparison"]}
    err = shown(capsys, found)
    assert "LOSES to words counted without labels too by" in err
    assert "words, unlabelled too, test" in err and re.search(r"accuracy .* 0\.456 +0\.123", err)


@pytest.mark.parametrize(
    ("network", "baseline", "words"),
    [
        ((0.01, 0.05), (0.02, 0.06), r"are ahead of the network \(.* and the baseline \(.*\)\.$"),
        ((0.01, 0.05), (-0.01, 0.03), r"ahead of the network \(.*, not clearly ahead of the base"),
        ((-0.05, -0.01), (-0.01, 0.03), r"BEHIND the network \(-3\.0 p.* -5\.0 to -1\.0\), not c"),
    ],
)
def test_whether_both_are_better_is_plain(network: Any, baseline: Any, words: str) -> None:
    ahead = {
        name: {"level": 0.95, "macro_f1": {"difference": sum(span) / 2, "low": span[0],
                                           "high": span[1]}}
        for name, span in (("network", network), ("baseline", baseline))
    }  # fmt: skip
    assert re.search(words, verdict_of_both({"ahead_of": ahead}))


def test_of_many_classes_the_worst_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    err = shown(capsys, summary(120, 600))
    assert "The 40 of 120 classes with the lowest F1" in err
    assert len(re.findall(r"^ *class \d+ +\d", err, re.MULTILINE)) == 40


def test_names_of_classes_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    err = shown(capsys, summary(3, names=["[bold]x[/bold]", "\x1b[31mred", "a\nb"]))
    assert "[bold]x[/bold]" in err and "\x1b[31m" not in err and "a\\nb" in err


def test_what_was_not_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(("valid", "test", "baseline", "comparison", "calibration"))
    assert "no texts to measure" in shown(capsys, nothing)


@pytest.mark.parametrize(
    ("difference", "low", "high", "words"),
    [
        (0.03, 0.01, 0.05, r"is ahead of the baseline by 3\.0 points .*\+1\.0 to \+5\.0"),
        (-0.03, -0.05, -0.01, r"LOSES to the baseline by 3\.0 points.*better classifier"),
        (-0.01, -0.05, 0.01, r"LOSES to the baseline by 1\.0 points.*may be chance"),
        (0.01, -0.02, 0.04, r"is not clearly ahead of the baseline: 1\.0 points.*-2\.0 to \+4\.0"),
    ],
)
def test_the_verdict_is_plain(difference: float, low: float, high: float, words: str) -> None:
    macro_f1 = {"difference": difference, "low": low, "high": high}
    found = verdict(
        {"level": 0.95, "macro_f1": macro_f1, "accuracy": {"difference": difference}},
        "the baseline",
    )
    assert re.search(words, found)
    assert f"accuracy {100 * difference:+.1f} points" in found


@pytest.mark.parametrize("classes", [3, 50, 200])
def test_pictures_of_few_and_many_classes(classes: int, tmp_path: Path) -> None:
    found = summary(classes, 6 * classes)
    written = write_classifier_pictures(found, tmp_path)
    assert {path.name for path in written} == {
        f"{name}.{kind}" for name in ("confusion", "reliability") for kind in ("svg", "png")
    }
    confusion = texts(read(tmp_path / "confusion.svg"))
    names, counts = confusion_matrix(found["test"]["per_class"])
    assert len(names) == min(classes, 60)
    for name in names:
        assert confusion.count(name) == 2  # at its row and its column
    if classes == 3:
        numbers = [text for text in confusion if text.isdigit()]
        assert numbers == [str(count) for row in counts for count in row if count]
    reliability = read(tmp_path / "reliability.svg")
    bins = found["calibration"]["reliability"]
    assert {len(bins["before"]), len(bins["after"])} <= {len(line) for line in curves(reliability)}
    assert f"after (error {found['calibration']['after']:.3f})" in texts(reliability)


def test_counts_of_the_matrix_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import confusion_matrix as wanted

    draw = np.random.default_rng(2)
    labels, answers = draw.integers(4, size=90), draw.integers(4, size=90)
    per_class = figures(labels, np.eye(4)[answers], list("abcd"))["per_class"]
    assert confusion_matrix(per_class) == (list("abcd"), wanted(labels, answers).tolist())


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("valid", "test", "calibration"))
    assert write_classifier_pictures(nothing, tmp_path) == []
    assert list(tmp_path.iterdir()) == []
