"""--force puts a run in another's place when its texts have been read, and not before."""

import shutil

import pytest

import charlm
from charlm.errors import DataError, UsageError
from classifying.tables import QUICK, SMALL, rows


@pytest.fixture
def old(classifier, tmp_path):
    return shutil.copytree(classifier[0], tmp_path / "run", symlinks=True)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"lm_text": "nowhere.txt", "lm_epochs": 1}, DataError),
        ({"valid_fraction": 0, "optimizer": "nt-asgd"}, UsageError),
        ({"errors": "replace", "lm_text": "nowhere.txt", "lm_epochs": 1}, DataError),
    ],
)
def test_the_old_run_stays_where_the_new_one_cannot_begin(old, settings, error):
    wanted = list(charlm.load(old).classify(["the heart murmur"]))
    before = sorted(path.name for path in old.iterdir())
    with pytest.raises(error):
        charlm.finetune_classifier("none", rows(), old, force=True, **QUICK | SMALL | settings)
    assert list(charlm.load(old).classify(["the heart murmur"])) == wanted
    assert sorted(path.name for path in old.iterdir()) == before


def test_the_new_run_is_what_it_would_be_in_a_place_of_its_own(old, lm, tmp_path):
    (old / "notes.txt").write_text("not of the run")
    for out, force in ((old, True), (tmp_path / "own", False)):
        charlm.finetune_classifier(lm, rows(), out, lm_epochs=1, force=force, **QUICK)
    found = {name: charlm.load(tmp_path / name).stored.weights for name in ("run", "own")}
    for name, array in found["own"].items():
        assert (found["run"][name] == array).all(), name
    names = {path.name for path in old.iterdir()}
    assert names - {"notes.txt"} == {path.name for path in (tmp_path / "own").iterdir()}


def test_what_it_begins_with_is_not_overwritten(old):
    for source in (old, old / "language_model"):
        with pytest.raises((UsageError, charlm.errors.RunError), match=r"overwritten|classifier"):
            charlm.finetune_classifier(source, rows(), old, force=True, lm_epochs=1, **QUICK)
        assert charlm.load(old / "language_model").stored.step > 0
