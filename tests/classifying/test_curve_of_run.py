"""A learning curve of real classifiers: what its points are, and what a person asks for it with."""

import json
from pathlib import Path
from typing import Any

import pytest
from contract.command import call
from report.pictures import read, texts

import charlm
from charlm.classifier_settings import ClassifierConfig
from charlm.classifying import curve_of_run
from charlm.classifying.request import CurveRequest
from charlm.errors import Interrupted, UsageError
from charlm.runs.directory import RunDirectory
from charlm.text.labelled import LabelledRow
from charlm.text.labelled_splits import Division
from charlm.text.labelled_subsets import nested_order
from classifying.tables import QUICK, SMALL, options, rows, write

SETTINGS: dict[str, Any] = {**QUICK, "lr": 0.01, "lm_epochs": 1, "test_fraction": 0.25}
CURVE = CurveRequest([8, 16], [], 2)


@pytest.fixture(scope="module")
def curved(lm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """(a run with its curve, its summary)"""
    out = tmp_path_factory.mktemp("curved") / "run"
    return out, charlm.finetune_classifier(lm, rows(64), out, curve=CURVE, **SETTINGS)


def same_part(run: Path, part: str) -> list[LabelledRow]:
    stored = json.loads((run / "cache" / "labels.json").read_bytes())
    by_row = {row.row: row for row in rows(64)}
    return [by_row[number] for number in stored["rows"][part]]


def test_a_point_is_the_classifier_of_its_texts(
    curved: tuple[Path, dict[str, Any]], lm: Path, tmp_path: Path
) -> None:
    run, summary = curved
    train, valid = same_part(run, "train"), same_part(run, "valid")
    curve = summary["learning_curve"]
    assert curve["n_test"] == summary["n_test"] and curve["repeats"] == 2
    few, many = curve["points"]
    assert (few["labels"], many["labels"]) == (8, 16)
    seed = 2  # of the second repeat: the run's own is 1
    order = nested_order([row.label for row in train], seed, "label curve, train")
    subset = [train[number] for number in sorted(order[:16])]
    order = nested_order([row.label for row in valid], seed, "label curve, valid")
    kept = [valid[number] for number in sorted(order[: many["n_valid"]])]
    own = {k: v for k, v in SETTINGS.items() if k not in ("lm_epochs", "test_fraction")}
    own |= {"seed": seed, "lm_epochs": 0, "valid_fraction": 0}
    test = same_part(run, "test")
    ways = {"transferred": run / "language_model", "from_scratch": "none"}
    for way, start in ways.items():
        sizes = SMALL if way == "from_scratch" else {}
        wanted = charlm.finetune_classifier(
            start, subset, tmp_path / way, valid=kept, test=test, **(own | sizes)
        )
        for key in ("accuracy", "macro_f1"):
            assert many[way][key]["values"][1] == wanted["test"][key], way
            assert many["baseline"][key]["values"][1] == wanted["baseline"][key]
    assert set(few["ahead_of"]) == {"from_scratch", "baseline", "words"}


def test_it_is_kept_and_its_networks_are_not(curved: tuple[Path, dict[str, Any]]) -> None:
    run, summary = curved
    assert json.loads((run / "summary.json").read_text("utf-8")) == summary
    kept = run / "learning_curve"
    assert json.loads((kept / "learning_curve.json").read_text()) == summary["learning_curve"]
    assert not [path for path in kept.iterdir() if path.is_dir()]
    assert kept.stat().st_mode & 0o077 == 0
    charlm.load(run)


def test_it_goes_on_with_what_was_asked_for(
    curved: tuple[Path, dict[str, Any]], lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = curve_of_run.finetune, 0

    def breaking(request: Any, listener: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Interrupted(2, "interrupted by SIGINT", "of the point")
        return real(request, listener)

    monkeypatch.setattr(curve_of_run, "finetune", breaking)
    with pytest.raises(
        Interrupted, match=r"goes on where it was: give the same command with --res"
    ):
        charlm.finetune_classifier(lm, rows(64), tmp_path / "run", curve=CURVE, **SETTINGS)
    # Nothing but what is resumed has to be said again.
    found = charlm.finetune_classifier("none", None, tmp_path / "run", resume=True, curve=CURVE)
    assert calls == 9
    assert found["learning_curve"] == curved[1]["learning_curve"]


def test_it_may_be_asked_for_when_the_run_is_finished(
    curved: tuple[Path, dict[str, Any]], lm: Path, tmp_path: Path
) -> None:
    """And its points are trained as the run was, not with the defaults."""
    charlm.finetune_classifier(lm, rows(64), tmp_path / "run", **SETTINGS)
    found = charlm.finetune_classifier("none", None, tmp_path / "run", resume=True, curve=CURVE)
    assert found["learning_curve"] == curved[1]["learning_curve"]


def test_its_points_have_the_budget_that_the_run_has_now(lm: Path, tmp_path: Path) -> None:
    few, how = CurveRequest([8], [], 1), {**SETTINGS, "resume": True, "epochs": 3}
    charlm.finetune_classifier(lm, rows(64), tmp_path / "run", curve=few, **SETTINGS)
    longer = charlm.finetune_classifier(lm, None, tmp_path / "run", curve=few, **how)
    whole = {**SETTINGS, "epochs": 3}
    wanted = charlm.finetune_classifier(lm, rows(64), tmp_path / "new", curve=few, **whole)
    assert longer["learning_curve"] == wanted["learning_curve"]


def test_from_scratch_has_a_whole_softmax() -> None:
    """A subset's vocabulary may be too small for the clusters of the run's."""
    config = ClassifierConfig().with_values(
        {"model.softmax": "adaptive", "model.cutoffs": "2000,7000", "model.hidden_size": 7}
    )
    nowhere = RunDirectory(Path("nowhere"))
    points = curve_of_run._Points(config, config, nowhere, Division([], [], [], ()))
    model = points._from_scratch().model
    assert (model.softmax, model.cutoffs, model.hidden_size) == ("full", "auto", 7)


def test_of_no_language_model_there_is_no_transfer(tmp_path: Path) -> None:
    found = charlm.finetune_classifier(
        "none", rows(40), tmp_path / "run", test_fraction=0.25, baseline=False,
        curve=CurveRequest([], [0.5], 1), **(SMALL | QUICK),
    )  # fmt: skip
    (point,) = found["learning_curve"]["points"]
    assert point["labels"] == 13 and "from_scratch" in point
    assert "transferred" not in point and "baseline" not in point and point["ahead_of"] == {}


def test_too_many_labels_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a learning curve is to have 1,000 labels"):
        charlm.finetune_classifier(
            "none", rows(40), tmp_path / "run", test_fraction=0.25,
            curve=CurveRequest([1000]), **(SMALL | QUICK),
        )  # fmt: skip
    assert not (tmp_path / "run" / "config.toml").exists()


def test_the_command_gives_table_picture_and_json(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv", rows(40))
    out = tmp_path / "run"
    done = call(
        "finetune-classify", "none", data, "--out", out, "--test-fraction", "0.25",
        "--label-count", "6,10", "--label-fraction", "0.5", "--repeats", "1", "--json",
        *options(**SMALL, **QUICK),
    )  # fmt: skip
    assert done.code == 0, done.err
    points = json.loads(done.out)["learning_curve"]["points"]
    assert [point["labels"] for point in points] == [6, 10, 13]
    assert "Macro F1 by the number of labels (mean of 1" in done.err
    assert "from scratch" in texts(read(out / "learning_curve" / "learning_curve.svg"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--label-count", "1"], "--label-count is 1; needed: a whole number from 2"),
        (["--label-count", "4,x"], "--label-count is x"),
        (["--label-fraction", "0"], "--label-fraction is 0; needed: a number above 0 to 1"),
        (["--label-fraction", "nan"], "--label-fraction is nan"),
        (["--repeats", "3"], "--repeats belongs to --label-count and --label-fraction"),
        (["--label-count", "4", "--repeats", "0"], "--repeats is 0"),
        (["--label-count", "4", "--dry-run"], "--dry-run shows one training"),
    ],
)
def test_what_makes_no_curve_is_refused(tmp_path: Path, words: list[str], complaint: str) -> None:
    data = write(tmp_path / "data.csv", rows(20))
    done = call("finetune-classify", "none", data, "--out", tmp_path / "run", *words)
    assert done.code == 2 and complaint in done.err
    assert not (tmp_path / "run").exists()
