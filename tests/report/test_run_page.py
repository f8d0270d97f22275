"""The page of a run: one file, nothing from elsewhere, everything a person wrote escaped."""

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from contract.command import call

import charlm
from charlm import api
from charlm.errors import DataError
from charlm.report.run_page import run_page
from charlm.run_story import RunStory
from charlm.runs.history import History

EVIL = '<script>alert("a")</script>&amp;$x^2$'
VOID = {"meta", "br", "path", "use", "rect"}


class Page(HTMLParser):
    """Tags opened and closed, attributes, and the text that is seen."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style",):
            self.text += data


def report(run: Path, out: Path, *arguments: str) -> str:
    done = call("report", run, "--out", out, *arguments)
    assert (done.code, done.out) == (0, f"{out}\n"), done.err
    return out.read_text("utf-8")


def test_the_page_tells_everything_and_fetches_nothing(tiny_run: Path, tmp_path: Path) -> None:
    html = report(tiny_run, tmp_path / "a.html")
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on") and name != "src"
        assert name not in ("href", "xlink:href") or value.startswith(("#", "data:image/png"))
    assert not re.search(r"url\((?!#)|@import", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert "width=device-width" in html and "prefers-color-scheme: dark" in html
    summary = api.history(tiny_run).summary
    assert summary is not None
    assert f"{summary['valid']['bits_per_character']:.6g}" in page.text
    assert f"{summary['test']['bits_per_character']:.6g}" in page.text
    last = sorted((tiny_run / "samples").glob("*.txt"), key=lambda path: int(path.stem))[-1]
    assert last.read_text("utf-8").strip() in page.text
    for wanted in ("hidden_size", "learning rate", "bits per character", "k, steps back"):
        assert wanted in page.text
    assert page.tags.count("svg") == 7
    assert "mathdefault" not in html


def test_the_passage_is_the_held_out_text_in_colours(tiny_run: Path, tmp_path: Path) -> None:
    html = report(tiny_run, tmp_path / "a.html")
    (block,) = re.findall(r'<div class="text">(.*?)</div>', html, re.DOTALL)
    spans = re.findall(r'<span style="background:rgb\((.*?)\).*?>(.*?)</span>', block, re.DOTALL)
    text = unescape("".join(text for _, text in spans)).replace("↵\n", "\n")
    look = charlm.load(tiny_run).look(text)
    assert len(look.pieces) == len(spans)
    reds = [int(colour.split(",")[2]) for colour, _ in spans]
    bits = [piece.bits for piece in look.pieces]
    order = sorted(range(len(bits)), key=bits.__getitem__)
    assert [reds[n] for n in order] == sorted(reds, reverse=True)  # the bluer, the fewer bits


def test_without_text_there_is_none_of_it(tiny_run: Path, tmp_path: Path) -> None:
    whole = Page(report(tiny_run, tmp_path / "a.html")).text
    bare = Page(report(tiny_run, tmp_path / "b.html", "--no-text")).text
    assert "What it wrote" in whole and "What surprised it" in whole
    assert "What it wrote" not in bare and "What surprised it" not in bare
    assert "patient" in whole and "patient" not in bare
    assert "How far back it learns" in bare


def test_a_text_too_short_for_gradients_still_has_its_passage(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_short(*how: object) -> None:
        raise DataError("the text is too short")

    monkeypatch.setattr("charlm.gradient_study.of_run", too_short)
    done = call("report", tiny_run, "-o", tmp_path / "a.html")
    assert done.code == 0 and "no gradients: the text is too short." in done.err
    assert "no passage" not in done.err
    page = Page((tmp_path / "a.html").read_text("utf-8")).text
    assert "What surprised it" in page and "How far back" not in page


def test_without_its_text_the_run_still_has_a_page(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / EVIL.replace("/", "")
    shutil.copytree(tiny_run, run, symlinks=True)
    shutil.rmtree(run / "cache")
    (run / "samples" / "60.txt").write_text(EVIL, "utf-8")
    (run / "summary.json").unlink()
    done = call("report", run, "--json")
    assert done.code == 0
    assert "no passage:" in done.err and "no gradients:" in done.err
    out = Path(json.loads(done.out)["page"])
    assert out.parent == tmp_path and out.name == run.name + "-report.html"
    page = Page(out.read_text("utf-8"))
    assert "script" not in page.tags
    assert EVIL in page.text and run.name in page.text
    assert "It has not ended" in page.text


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "rnn", "direction": "backward", "tokenizer": "word"},
        {"cell": "gru-cho", "tokenizer": "unigram", "layers": 2},
        {"cell": "lstm", "tokenizer": "word", "word_oov": "unk"},
    ],
)
def test_any_run_has_a_page(settings, tiny_text: Path, tmp_path: Path) -> None:
    charlm.train([tiny_text], tmp_path / "run", steps=3, hidden_size=8, batch_size=2, bptt=8,
                 threads=1, precision="fp32", **settings)  # fmt: skip
    text = Page(report(tmp_path / "run", tmp_path / "a.html")).text
    assert "What surprised it" in text and "How far back it learns" in text


def test_a_classifier_has_its_own_sections(tmp_path: Path) -> None:
    """From the summary alone, as such a run has it."""
    per_class = {
        name: {"n": 3, "precision": 0.5, "recall": 2 / 3, "f1": 0.57, "taken_for": {other: 1}}
        for name, other in ((EVIL, "b"), ("b", EVIL))
    }
    figures = {"accuracy": 0.6, "macro_f1": 0.57, "nats": 0.7, "n": 6, "per_class": per_class}
    summary = {"run": "x", "classes": [EVIL, "b"], "n_train": 9, "seconds": 1.0, "valid": None,
               "test": figures, "baseline": None,
               "words": figures | {"accuracy": 0.6875},
               "together": figures | {"accuracy": 0.8125, "weights": {"network": 0.3125},
                                      "ahead_of": {}}}  # fmt: skip
    records = [
        {"split": "valid", "step": n, "nats_per_text": 1 / n, "accuracy": n / 9} for n in (1, 2, 3)
    ]
    history = History(tmp_path, records, {"classifier": {"pooling": "concat"}}, summary)
    page = Page(run_page(RunStory(history, [], None, None)))
    assert "script" not in page.tags and EVIL in page.text
    assert "0.3125" not in page.text and "ahead_of" not in page.text
    for wanted in (
        "0.8125",
        "0.6875",
        "Class by class",
        "pooling",
        "0.57",
        "macro_f1",
        "validation (shares)",
        "loss (nats per text)",
    ):
        assert wanted in page.text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("RUN", "--out", "a.pdf"), 2, "is to be a page"),
        (("nowhere",), 4, "does not exist"),
        (("RUN", "--out", "no/where.html"), 2, "a folder that does not exist"),
    ],
    ids=str,
)
def test_refusals(arguments, code, said, tiny_run: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("report", *(str(tiny_run) if word == "RUN" else word for word in arguments))
    assert (done.code, done.out) == (code, "")
    assert said in done.err
