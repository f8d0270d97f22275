"""The script that says what transfer is worth, on small sets in the form of the public ones."""

import sys
from pathlib import Path

import pytest

from classifying.tables import rows

SCRIPTS = Path(__file__).parents[2] / "scripts"
QUICK = ("epochs=1", "lm_epochs=1", "batch_size=8", "bptt=8", 'precision="fp32"', "save_every=0")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "subj").mkdir()
    (tmp_path / "wikitext-2").mkdir()
    found = rows(60)
    for name, label in (("quote", "heart"), ("plot", "bone")):
        texts = [row.text for row in found if row.label == label]
        (tmp_path / "subj" / f"{name}.tok.gt9.5000").write_text("\n".join(texts) + "\n", "utf-8")
    text = "".join(row.text + "\n" for row in rows(90, seed=2))
    (tmp_path / "wikitext-2" / "train.txt").write_text(text, "utf-8")
    return tmp_path


def table(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str
) -> list[list[str]]:
    """The rows that the script prints, below its headings."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import classifier_table

    settings = [word for each in QUICK for word in ("--set", each)]
    words = [str(data), "--work", str(data / "work"), "--sets", "subj", "--repeats", "2", *more]
    monkeypatch.setattr(sys, "argv", ["classifier_table.py", *words, *settings])
    classifier_table.main()
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return cells[2:]


def language_model(data: Path) -> tuple[str, str]:
    import charlm

    run = data / "lm"
    charlm.train(
        [data / "wikitext-2" / "train.txt"], run, tokenizer="word", lowercase=True, steps=9,
        hidden_size=8, embedding_size=8, batch_size=4, bptt=8, threads=1, precision="fp32",
    )  # fmt: skip
    return "--run", f"subj={run}"


def test_labels_and_recipes_are_a_row_each(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = language_model(data)
    found = table(data, monkeypatch, capsys, "--labels", "10", "all", *run)
    assert [row[:3] for row in found] == [
        ["subj", count, figure] for count in ("10", "48") for figure in ("accuracy", "macro_f1")
    ]
    for row in found:
        means = [float(cell.split(" ± ")[0]) for cell in row[3:8]]
        assert all(0 <= mean <= 1 for mean in means)
        for ours, difference in ((means[0], row[8]), (means[4], row[9])):
            ahead = float(difference.split()[0])
            assert ahead == pytest.approx(100 * (ours - means[2]), abs=0.11)
    # What is done is not done again: the run to start from is not even needed.
    again = table(data, monkeypatch, capsys, "--labels", "10", "all", "--run", "subj=nowhere")
    assert again == found

    import classifier_table

    monkeypatch.setattr(classifier_table, "RECIPES", {"mean": {"pooling": "mean"}})
    found = table(data, monkeypatch, capsys, "--recipes", *run)
    assert [row[:2] for row in found] == [["subj", "mean"], ["subj", "from scratch"]]
    for row in found:
        assert 0 <= float(row[3].split(" ± ")[0]) <= 1 and "to" in row[4]
