"""A classifier's words' model is kept in the run, goes along, and answers with the network."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from contract.command import call

import charlm as library
from charlm import api
from charlm.classifying.kept_words import NUMBERS, TERMS, files_of, together_from
from charlm.errors import RunError, UsageError
from charlm.evaluation.reading_texts import logits_of
from charlm.evaluation.tfidf_baseline import fit_words
from charlm.evaluation.together import Together
from charlm.runs.directory import RunDirectory
from charlm.runs.tensors import decode, encode
from classifying.tables import QUICK, SMALL, rows

TEXTS = ["the heart murmur", "", "knee joint 漢字", "a valve leaks and beats " * 9, "12 km"]


@pytest.fixture
def run(classifier, tmp_path):
    return shutil.copytree(classifier[0], tmp_path / "run", symlinks=True)


def fitted(classes=3):
    texts = ["the heart beats", "a knee joint", "the red rash", "春眠 heart"] * 3
    labels = np.arange(12) % 4 % classes
    return Together(fit_words(texts, labels, classes + 1, "none", 1), (0.7, 0.4))


def of_no_words():
    return Together(fit_words(["?", "!"], np.array([0, 1]), 2, "none", 1), (0.5, 0.5))


@pytest.mark.parametrize("make", [fitted, of_no_words])
def test_what_was_kept_answers_as_it_did(make, tmp_path):
    together = make()
    files = files_of(together)
    found = together_from(files, together.words.n_classes, tmp_path)
    assert files_of(found) == files and found.weights == together.weights
    logits = np.random.default_rng(1).standard_normal((len(TEXTS), together.words.n_classes))
    np.testing.assert_array_equal(
        found.probabilities(logits, TEXTS), together.probabilities(logits, TEXTS)
    )


def test_the_run_answers_by_both(classifier, tmp_path):
    run, summary = classifier
    model = library.load(run)
    both = model.probabilities(TEXTS, together=True)
    logits = logits_of(model.classifier, model._to_read(TEXTS))
    a, b = summary["together"]["weights"].values()
    wanted = np.exp(a * logits + b * model.together.words.log_probabilities(TEXTS))
    np.testing.assert_allclose(both, wanted / wanted.sum(axis=1, keepdims=True), rtol=1e-6)
    assert np.abs(both - model.probabilities(TEXTS)).max() > 1e-3
    answers = list(model.classify(TEXTS, together=True))
    assert [found.probability for found in answers] == both.max(axis=1).tolist()
    assert model.classify_batch(TEXTS, together=True) == answers
    assert (run / "together").stat().st_mode & 0o077 == 0


def test_figures_of_both_are_in_the_summary(classifier):
    found = classifier[1]["together"]
    assert {"accuracy", "macro_f1", "nats", "n", "per_class", "weights", "ahead_of"} == set(found)
    assert found["n"] == classifier[1]["test"]["n"]


def test_it_goes_along_where_it_is_asked_for(run, tmp_path):
    wanted = list(library.load(run).classify(TEXTS, together=True))
    alone = list(library.load(run).classify(TEXTS))
    api.export(run, tmp_path / "both.charlm", together=True)
    api.export(run, tmp_path / "again.charlm", together=True)
    api.export(run, tmp_path / "alone.charlm")
    raw = {name: (tmp_path / f"{name}.charlm").read_bytes() for name in ("both", "alone")}
    assert raw["both"] == (tmp_path / "again.charlm").read_bytes()
    assert b"\nbone broke" in raw["both"] and b"\nbone broke" not in raw["alone"]
    for part in ("cache", "language_model"):
        shutil.rmtree(run / part)
    for place in ("both.charlm", "run"):
        model = library.load(tmp_path / place)
        assert list(model.classify(TEXTS, together=True)) == wanted
        assert list(model.classify(TEXTS)) == alone
        assert model.info()["together"] is True
    assert library.load(tmp_path / "alone.charlm").info()["together"] is False
    with pytest.raises(UsageError, match="holds no words' model") as refused:
        list(library.load(tmp_path / "alone.charlm").classify(TEXTS, together=True))
    assert "charlm export RUN" in refused.value.hint and "--together" in refused.value.hint
    assert api.verify(tmp_path / "both.charlm").readable


def test_an_older_run_gets_it_by_what_is_said(run):
    wanted = {path.name: path.read_bytes() for path in (run / "together").iterdir()}
    before = library.load(run).classify_batch(TEXTS)
    shutil.rmtree(run / "together")
    model = library.load(run)
    assert model.classify_batch(TEXTS) == before
    with pytest.raises(UsageError) as refused:
        model.classify_batch(TEXTS, together=True)
    with pytest.raises(UsageError):
        api.export(run, run.parent / "x.charlm", together=True)
    assert not (run.parent / "x.charlm").exists()
    first, _, second = refused.value.hint.partition("it: ")[2].partition(". ")[0].partition(" && ")
    subprocess.run(first, shell=True, check=True)
    ended = call(*second.split()[1:])
    assert ended.code == 0, ended.err
    assert wanted == {path.name: path.read_bytes() for path in (run / "together").iterdir()}


def test_where_none_is_wanted_none_is_kept(classifier, tiny_run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(classifier[0], out, symlinks=True)
    settings = QUICK | SMALL | {"epochs": None, "steps": 2}
    library.finetune_classifier("none", rows(), out, baseline=False, force=True, **settings)
    assert not (out / "together").exists()
    with pytest.raises(UsageError) as refused:
        library.load(out).classify_batch(TEXTS, together=True)
    assert "--no-baseline" in refused.value.hint
    with pytest.raises(RunError, match="language model"):
        api.export(tiny_run, tmp_path / "x.charlm", together=True)
    assert not (tmp_path / "x.charlm").exists()


def test_a_run_that_goes_on_has_none_until_it_ends(run):
    RunDirectory(run).remove_summary()
    assert not (run / "together").exists()


def changed(**arrays):
    """The numbers of `fitted` with others in their place; None: without."""

    def change(files):
        found = decode(files[NUMBERS], None) | arrays
        kept = {name: array for name, array in found.items() if array is not None}
        return files | {NUMBERS: encode(kept)}

    return change


def terms(edit):
    return lambda files: files | {TERMS: edit(files[TERMS])}


N = len(fitted().words.terms)
DAMAGES = {
    "no terms": lambda files: {NUMBERS: files[NUMBERS]},
    "no numbers": lambda files: {TERMS: files[TERMS]},
    "a file more": lambda files: files | {"more": b""},
    "a term less": terms(lambda raw: raw.split(b"\n", 1)[1]),
    "a term more": terms(lambda raw: raw + "龍\n".encode()),
    "a term twice": terms(lambda raw: raw.split(b"\n")[0] + b"\n" + raw.split(b"\n", 2)[0] + b"\n"),
    "terms in another order": terms(lambda raw: b"".join(sorted(raw.splitlines(True))[::-1])),
    "an empty term": terms(lambda raw: b"\n" + raw),
    "a term cut off": terms(lambda raw: raw[:-1]),
    "no UTF-8": terms(lambda raw: b"\xff" + raw),
    "NaN": changed(idf=np.full(N, np.nan)),
    "infinity": changed(intercept=np.full(3, np.inf)),
    "huge": changed(intercept=np.full(3, 1e300)),
    "an idf of 0": changed(idf=np.zeros(N)),
    "another shape": changed(coefficients=np.zeros((N, 3))),
    "a row less": changed(coefficients=np.zeros((2, N))),
    "another type": changed(idf=np.ones(N, np.float32)),
    "no intercept": changed(intercept=None),
    "more numbers": changed(more=np.zeros(2)),
    "classes unsorted": changed(known=np.array([1, 0, 2])),
    "a class too many": changed(known=np.array([0, 1, 4])),
    "a class below 0": changed(known=np.array([-1, 1, 2])),
    "no class": changed(known=np.array([], np.int64)),
    "classes in rows": changed(known=np.array([[0, 1, 2]])),
    "no share": changed(missing=np.array(0.0)),
    "a weight below 0": changed(weights=np.array([-0.1, 1])),
    "a weight beyond all": changed(weights=np.array([1, 1e6])),
    "three weights": changed(weights=np.ones(3)),
    "cut": lambda files: files | {NUMBERS: files[NUMBERS][:-1]},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_as_it_was_is_refused_by_name(damage, tmp_path):
    files = files_of(fitted())
    with pytest.raises(RunError) as refused:
        together_from(DAMAGES[damage](files), 4, tmp_path)
    assert any(name in refused.value.what for name in (TERMS, NUMBERS, "more"))
    together_from(files, 4, tmp_path)


def test_more_weights_than_are_ever_fitted_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.classifying.kept_words.MOST_WEIGHTS", 4 * N)
    together_from(files_of(fitted()), 4, tmp_path)
    monkeypatch.setattr("charlm.classifying.kept_words.MOST_WEIGHTS", 4 * N - 1)
    with pytest.raises(RunError, match="more than"):
        together_from(files_of(fitted()), 4, tmp_path)


@pytest.mark.parametrize("name", [TERMS, NUMBERS, "manifest.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_named_and_the_network_still_answers(run, name, how):
    wanted = library.load(run).classify_batch(TEXTS)
    file = run / "together" / name
    raw = bytearray(file.read_bytes())
    if how == "flipped":
        raw[len(raw) // 2] ^= 1
    file.write_bytes(raw[:-2] if how == "cut" else raw)
    if how == "gone":
        file.unlink()
    model = library.load(run)
    assert model.classify_batch(TEXTS) == wanted
    with pytest.raises(RunError) as refused:
        model.classify_batch(TEXTS, together=True)
    assert name in refused.value.what and refused.value.exit_code == 4
    found = api.verify(run)
    assert [part.name for part in found.damaged] == ["together"]
    assert found.readable and found.resumable
    assert "rm -f" in found.damaged[0].remedy and "--resume" in found.damaged[0].remedy


def test_an_exported_file_with_a_bit_flipped_is_refused(run, tmp_path):
    file = tmp_path / "both.charlm"
    api.export(run, file, together=True)
    raw = bytearray(file.read_bytes())
    at = raw.index(b"bone broke")
    raw[at] ^= 1
    file.write_bytes(raw)
    with pytest.raises(RunError, match=r"both\.charlm"):
        library.load(file)
    assert not api.verify(file).readable


def test_it_is_verified_where_it_is_kept(run):
    assert "together" in [part.name for part in api.verify(run).parts]
    (run / "config.toml").write_text("classes = 3\n")
    assert "together" in [part.name for part in api.verify(run).damaged]


def test_the_command_asks_both(run, tiny_run, tmp_path):
    lines, nothing = tmp_path / "lines.txt", tmp_path / "empty.txt"
    lines.write_text("\n".join(TEXTS) + "\n", "utf-8")
    nothing.write_text("")
    both, alone = tmp_path / "both.charlm", tmp_path / "alone.charlm"
    done = call("export", run, both, "--together")
    assert done.code == 0 and "words of the training text" in done.err
    done = call("export", run, alone)
    assert done.code == 0 and "words" not in done.err
    wanted = [
        f"{found.label}\t{found.probability:.4f}\t{text}"
        for found, text in zip(library.load(run).classify(TEXTS, together=True), TEXTS, strict=True)
    ]
    for place in (run, both):
        done = call("classify", place, lines, "--together", "--threads", "1")
        assert done.code == 0, done.err
        assert done.out.splitlines() == wanted
    assert call("classify", run, lines, "--threads", "1").out.splitlines() != wanted
    # Before the first text, of which there is none.
    done = call("classify", alone, nothing, "--together")
    assert done.code == 2 and "--together" in done.err
    (run / "together" / TERMS).write_text("knee\n")
    done = call("classify", run, nothing, "--together")
    assert done.code == 4 and TERMS in done.err
    assert call("classify", tiny_run, nothing, "--together").code == 4


def test_without_the_option_nothing_is_counted(run, tmp_path):
    """No scikit-learn is imported, and what is kept is not read."""
    (tmp_path / "lines.txt").write_text("the knee\n")
    shutil.rmtree(run / "together")
    (run / "together").symlink_to("nowhere")
    code = (
        "import sys; from charlm.cli.main import main\n"
        f"sys.argv = ['charlm', 'classify', {str(run)!r}, {str(tmp_path / 'lines.txt')!r},"
        " '--threads', '1']\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr
