"""What a classifier's run is gone on with: the run, the table and the settings it began with."""

import shutil

import pytest
from contract.command import call

import charlm
from charlm.errors import UsageError
from classifying.tables import QUICK, SMALL, options, rows, write


@pytest.fixture
def run(classifier, tmp_path):
    return shutil.copytree(classifier[0], tmp_path / "run", symlinks=True)


def test_the_same_table_goes_on(run, lm, tmp_path):
    table = write(tmp_path / "again.csv", rows(90))
    summary = charlm.finetune_classifier(lm, table, run, resume=True, epochs=11)
    assert summary["epochs"] == pytest.approx(11, abs=0.2)


@pytest.mark.parametrize("what", ["text", "label", "one less"])
def test_another_table_is_refused(run, what, tmp_path):
    found = rows(90)
    if what == "one less":
        del found[7]
    else:
        found[7] = found[7]._replace(**{what: "heart" if what == "label" else "the knee"})
        assert found[7] != rows(90)[7]
    table = write(tmp_path / "other.csv", found)
    for how in ({}, {"epochs": 20}):
        with pytest.raises(UsageError, match="texts or labels"):
            charlm.finetune_classifier("none", table, run, resume=True, **how)
    charlm.finetune_classifier("none", None, run, resume=True)


def test_more_text_that_was_edited_is_refused(lm, tmp_path):
    more, out = tmp_path / "more.txt", tmp_path / "run"
    more.write_text("the valve of a heart\n" * 9)
    settings = QUICK | {"steps": 2, "epochs": None, "lm_epochs": 0.1, "baseline": False}
    charlm.finetune_classifier(lm, rows(), out, lm_text=str(more), **settings)
    charlm.finetune_classifier(lm, rows(), out, resume=True, steps=3)
    more.write_text("the valve of a knee\n" * 9)
    with pytest.raises(UsageError, match="--lm-text"):
        charlm.finetune_classifier(lm, rows(), out, resume=True, steps=4)


def test_another_run_or_none_is_refused_by_its_name(run, lm, lm_from_the_end):
    for other in (lm_from_the_end, "none"):
        done = call("finetune-classify", other, "--resume", "--out", run)
        assert done.code == 2 and f"RUN is {other}, and the run has {lm}" in done.err
    assert call("finetune-classify", lm, "--resume", "--out", run).code == 0


def test_how_a_table_is_read_needs_a_table(run):
    for words in (("--text-column", "note"), ("--label-column", "x"), ("--csv",), ("--no-header",)):
        done = call("finetune-classify", "--resume", "--out", run, *words)
        assert done.code == 2 and words[0] in done.err and "DATA" in done.err


def test_what_a_run_to_start_from_has_is_told_in_the_words_of_the_command(lm, tmp_path):
    table = write(tmp_path / "t.csv", rows())
    words = options(**SMALL | {"hidden_size": 99})
    done = call("finetune-classify", lm, table, "--out", tmp_path / "run", *words)
    assert done.code == 2 and "--hidden-size is 99" in done.err
    assert "RUN" in done.err and "--init-from" not in done.err
