"""Words of text without labels: counted when a run begins, used at its end and in its curve."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from contract.command import call

import charlm
from charlm import api
from charlm.classifier_settings import ClassifierConfig
from charlm.classifying import unlabelled
from charlm.classifying.kept_words import NUMBERS, TERMS
from charlm.classifying.labelled_cache import open_texts
from charlm.classifying.request import CurveRequest
from charlm.classifying.unlabelled import (
    SHA256,
    counted_text_differs,
    kept_semantics,
    semantics_from,
)
from charlm.cli.finetune_classify import _show_summary
from charlm.cli.verbs import Context
from charlm.errors import DataError, RunError, UsageError
from charlm.evaluation.reading_texts import logits_of
from charlm.evaluation.tfidf_baseline import fit_words
from charlm.evaluation.together import fit_weights
from charlm.report.console import Messages
from charlm.runs.directory import RunDirectory
from charlm.runs.tensors import decode, encode
from classifying.tables import QUICK, SMALL, options, rows, write

SETTINGS: dict[str, Any] = {**QUICK, **SMALL, "test_fraction": 0.25, "lr": 0.01}
# What goes with the heart and the bone, in words that no labelled text has.
MORE = "the heart beats in its atrium and aorta\n\na murmur of the valve, the atrium, the aorta\n\n"
MORE += "the bone broke, the femur and tibia\n\na knee and its joint, the tibia, the femur\n\n"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "more.txt"
    path.write_text(MORE * 9)
    return path


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, text: Path) -> tuple[Path, dict[str, Any]]:
    """(a run with text without labels, its summary)"""
    out = tmp_path_factory.mktemp("counted") / "run"
    return out, charlm.finetune_classifier(
        "none", rows(80), out, unlabelled_text=str(text), **SETTINGS
    )


@pytest.fixture
def run(counted: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(counted[0], tmp_path / "run", symlinks=True))


def parts(run: Path) -> dict[str, tuple[list[str], Any]]:
    found, tokenizer = open_texts(run / "cache"), charlm.load(run).tokenizer
    return {part: (found.texts(part, tokenizer), found.labels[part]) for part in found.ids}


def test_the_words_know_what_was_counted(counted: tuple[Path, dict[str, Any]]) -> None:
    run, summary = counted
    known = kept_semantics(RunDirectory(run))
    assert known is not None
    assert {"atrium", "tibia", "heart"} <= {*known.terms}
    (train, labels), valid, (test, wanted) = parts(run).values()
    words = fit_words(train, labels, 2, "none", 1, valid, known)
    p = words.probabilities(test)
    assert summary["words"]["accuracy"] == (p.argmax(1) == wanted).mean()
    assert summary["words"]["n"] == summary["baseline"]["n"] == len(test)
    together = summary["together"]
    assert set(together["weights"]) == {"network", "words"}
    assert set(together["ahead_of"]) == {"network", "baseline", "words"}
    model = charlm.load(run)
    assert isinstance(model, charlm.ClassifierModel)
    np.testing.assert_allclose(model.together.words.coefficients, words.coefficients)
    logits = logits_of(model.classifier, model._to_read(valid[0]))
    weights = fit_weights(logits, words.log_probabilities(valid[0]), valid[1])
    assert list(together["weights"].values()) == pytest.approx(weights, rel=1e-3)


def test_a_word_of_the_text_alone_tells_the_class(
    counted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = counted
    model = charlm.load(run)
    assert isinstance(model, charlm.ClassifierModel)
    p = model.together.words.probabilities(["atrium", "aorta", "femur", "tibia"])
    heart = model.classes.index("heart")
    assert (p[:2, heart] > p[2:, heart].max()).all()
    assert (p[:2, heart] > 0.5).all() and (p[2:, heart] < 0.5).all()
    file = tmp_path / "both.charlm"
    api.export(run, file, together=True)
    exported = charlm.load(file)
    assert isinstance(exported, charlm.ClassifierModel)
    texts = ["the atrium", "a femur"]
    assert exported.classify_batch(texts, together=True) == model.classify_batch(
        texts, together=True
    )


def words_of(run: Path) -> set[str]:
    known = kept_semantics(RunDirectory(run))
    return set() if known is None else {*known.terms}


def test_what_is_counted_by_itself_and_what_by_name(
    lm: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RUN was trained on the bread; `text` has the atrium, and another one the sternum."""
    monkeypatch.setattr("charlm.text.passages.MOST_CHARACTERS", 200)  # its lines one by one
    out, other = tmp_path / "run", tmp_path / "other.txt"
    other.write_text(MORE.replace("atrium", "sternum") * 9)
    lm_text = {"lm_text": str(text), "lm_epochs": 0.1}
    for settings, inside in (
        ({}, {"bread"}),
        (lm_text, {"bread", "atrium"}),
        (lm_text | {"unlabelled_text": str(other)}, {"sternum"}),
        (lm_text | {"unlabelled_text": None}, set()),
        (lm_text | {"baseline": False}, set()),
    ):
        chosen: dict[str, Any] = {**QUICK, "epochs": 1, "test_fraction": 0.25, "lm_epochs": 0}
        found = charlm.finetune_classifier(lm, rows(80), out, force=True, **(chosen | settings))
        assert {"bread", "atrium", "sternum"} & words_of(out) == inside, settings
        assert (found["words"] is not None) == bool(inside)
        assert (out / "latent_semantics").exists() == bool(inside)


def test_an_exported_model_has_no_text_to_count_in(lm: Path, tmp_path: Path) -> None:
    api.export(lm, tmp_path / "lm.charlm")
    settings: dict[str, Any] = {**QUICK, "epochs": 1, "lm_epochs": 0}
    charlm.finetune_classifier(tmp_path / "lm.charlm", rows(), tmp_path / "run", **settings)
    assert not words_of(tmp_path / "run")


def test_text_that_was_read_from_the_end_is_counted_as_it_was_written(
    lm_from_the_end: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.text.passages.MOST_CHARACTERS", 200)
    settings: dict[str, Any] = {**QUICK, "epochs": 1, "lm_epochs": 0}
    charlm.finetune_classifier(lm_from_the_end, rows(), tmp_path / "run", **settings)
    assert {"bread", "the"} <= words_of(tmp_path / "run")


def test_a_text_that_tells_nothing_is_said(tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("?\n")
    config = ClassifierConfig().with_values({"classifier.unlabelled_text": str(few)})
    run, said = RunDirectory.create(tmp_path / "run"), list[str]()
    unlabelled.count_unlabelled(run, config, ["!"], 2, None, said.append, lambda: None)
    assert "tells nothing" in said[0] and kept_semantics(run) is None
    assert not counted_text_differs(run, config)
    few.write_text("!\n")
    assert counted_text_differs(run, config)


def test_the_command_says_what_was_counted(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    table, out = write(tmp_path / "t.csv", rows(80)), tmp_path / "run"
    words = options(**SETTINGS, unlabelled_text=text)
    done = call("finetune-classify", "none", table, "--out", out, *words)
    assert done.code == 0, done.err
    assert (
        "words were counted in 36 passages without labels" in done.err
        and "words, unlabelled too" in done.err
    )
    found = json.loads((out / "summary.json").read_text())
    better = found["together"]["macro_f1"] > found["test"]["macro_f1"]
    assert (f"classify {out} FILE --together" in done.err) == better


@pytest.mark.parametrize("steps", [0, 1])
def test_time_that_was_over_before_the_first_step_is_said(
    steps: int, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = json.loads((run / "summary.json").read_text()) | {"steps": steps, "run": str(run)}
    _show_summary(cast(Context, SimpleNamespace(messages=Messages(quiet=False))), summary)
    assert ("before the first step" in capsys.readouterr().err) == (steps == 0)


def test_only_so_much_is_looked_at_all_over_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here of the first half of a text that is sorted, and of its second."""
    text, said = tmp_path / "text.txt", list[str]()
    text.write_text("the heart beats\n\n" * 400 + "a knee joint\n\n" * 400)
    config = ClassifierConfig().with_values({"classifier.unlabelled_text": str(text)})
    run = RunDirectory.create(tmp_path / "run")
    lm = tmp_path / "lm"
    charlm.train([text], lm, tokenizer="word", steps=1, batch_size=4, bptt=8, **SMALL)
    of_run = ClassifierConfig()
    source = charlm.load(lm)
    for most, lines in ((10**6, 0), (2000, 1)):
        monkeypatch.setattr(unlabelled, "MOST_CHARACTERS", most)
        idf = []
        for settings, model in ((config, None), (of_run, source)):
            unlabelled.count_unlabelled(run, settings, [], 2, model, said.append, lambda: None)
            known = kept_semantics(run)
            assert known is not None and {"heart", "knee"} <= {*known.terms}
            idf.append(known.idf.max())
        assert sum("are looked at" in line for line in said) == lines
    passages = [int(line.split(" in ")[1].split()[0]) for line in said if "passages" in line]
    assert passages[0] == 800 and 60 < passages[2] < 180
    assert 700 < passages[1] < 800 and 60 < passages[3] < 180


def test_it_is_resumed_with_the_same_text_only(run: Path, text: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", rows(80))
    found = charlm.finetune_classifier("none", table, run, resume=True, epochs=3)
    assert found["words"] is not None
    before = text.read_bytes()
    try:
        text.write_text(MORE)
        with pytest.raises(UsageError, match="--unlabelled-text"):
            charlm.finetune_classifier("none", table, run, resume=True, epochs=4)
        text.unlink()
        # Without DATA nothing of the person's is needed.
        assert charlm.finetune_classifier("none", None, run, resume=True, epochs=4)["words"]
    finally:
        text.write_bytes(before)


def test_points_of_a_curve_count_as_the_run_did(
    run: Path, counted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    found = charlm.finetune_classifier(
        "none", None, run, resume=True, curve=CurveRequest([12], [], 2)
    )
    (point,) = found["learning_curve"]["points"]
    assert set(point["ahead_of"]) == {"baseline", "words"}
    assert set(point["together_ahead_of"]) == {"from_scratch", "baseline", "words"}
    assert len(point["words"]["accuracy"]["values"]) == 2


def test_a_text_that_is_not_there_or_not_wanted_is_refused(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(DataError, match="nowhere"):
        charlm.finetune_classifier("none", rows(), out, unlabelled_text="nowhere.txt", **SETTINGS)
    with pytest.raises(UsageError, match="--unlabelled-text"):
        charlm.finetune_classifier(
            "none", rows(), out, unlabelled_text=str(text), baseline=False, **SETTINGS
        )
    assert not out.exists()
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"caf\xe9\n\n" * 9)
    with pytest.raises(DataError, match=r"bad\.txt"):
        charlm.finetune_classifier("none", rows(), out, unlabelled_text=str(bad), **SETTINGS)
    charlm.finetune_classifier(
        "none", rows(), out, unlabelled_text=str(bad), encoding="latin-1", **SETTINGS
    )
    known = kept_semantics(RunDirectory(out))
    assert known is not None and "café" in known.terms


def changed(**arrays: Any) -> Any:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        found = decode(files[NUMBERS], Path())
        for name, value in arrays.items():  # a number: as many of them, in fp64
            found[name] = np.full(found[name].shape, value) if isinstance(value, float) else value
        kept = {name: array for name, array in found.items() if array is not None}
        return files | {NUMBERS: encode(kept)}

    return change


DAMAGES: dict[str, Any] = {
    "no terms": lambda files: {name: raw for name, raw in files.items() if name != TERMS},
    "no hash": lambda files: {name: raw for name, raw in files.items() if name != SHA256},
    "a file more": lambda files: files | {"more": b""},
    "a term more": lambda files: files | {TERMS: files[TERMS] + "龍\n".encode()},
    "unsorted": lambda files: (
        files | {TERMS: b"\n".join(files[TERMS].split(b"\n")[-2::-1]) + b"\n"}
    ),
    "no directions": changed(directions=None),
    "one direction": changed(directions=np.zeros(3, np.float32)),
    "NaN": changed(idf=np.nan),
    "another type": changed(directions=1.0),
    "huge": changed(idf=1e300),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_as_it_was_is_refused_by_name(damage: str, run: Path) -> None:
    files = RunDirectory(run).read_semantics()
    semantics_from(files, run)
    with pytest.raises(RunError):
        semantics_from(DAMAGES[damage](files), run)


@pytest.mark.parametrize("name", [TERMS, NUMBERS, SHA256, "manifest.json"])
def test_a_damaged_file_is_named_and_the_classifier_still_answers(run: Path, name: str) -> None:
    wanted = charlm.load(run).classify_batch(["the knee"], together=True)  # type: ignore[attr-defined]
    file = run / "latent_semantics" / name
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert charlm.load(run).classify_batch(["the knee"], together=True) == wanted  # type: ignore[attr-defined]
    found = api.verify(run)
    assert [part.name for part in found.damaged] == ["latent semantics"]
    assert found.readable and not found.resumable
    assert "latent_semantics" in found.damaged[0].remedy
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError) as refused:
        charlm.finetune_classifier("none", None, run, resume=True, epochs=3)
    assert name in refused.value.what
    assert (run / "metrics.jsonl").read_bytes() == before  # told before anything is learned
    assert (run / "latent_semantics").stat().st_mode & 0o077 == 0
