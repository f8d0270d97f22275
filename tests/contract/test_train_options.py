"""Every option of `train` changes something: silent no-ops are this field's recurring bug.

A row of the table trains one short run with the base options and one that differs from it
in a single option, and says what must differ and how.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from charlm.model.kernels import reference, sequence
from charlm.runs import checkpoint
from charlm.training import precision
from contract.command import Finished, call
from contract.test_options import COMMON, names

BASE = {
    "--steps": "12", "--layers": "2", "--hidden-size": "24", "--embedding-size": "12",
    "--batch-size": "4", "--bptt": "16", "--threads": "1", "--precision": "fp32",
    "--device": "cpu", "--lr": "0.02", "--warmup-steps": "3", "--input-dropout": "0.2",
    "--inter-layer-dropout": "0.2", "--temporal-dropout": "0.2", "--output-dropout": "0.2",
    "--eval-every": "12", "--ngram-order": "1",
}  # fmt: skip


@dataclass
class Ran:
    """A finished run and what its code did on the way."""

    finished: Finished
    out: Path
    saves: int
    kernels: frozenset[str]
    threads: frozenset[int]

    @property
    def code(self) -> int:
        return self.finished.code

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.finished.out)

    @property
    def config(self) -> dict[str, Any]:
        return tomllib.loads((self.out / "config.toml").read_text("utf-8"))

    @property
    def weights(self) -> str:
        """A digest of all final weights."""
        found = (self.out / "checkpoints/last/weights.safetensors").read_bytes()
        return hashlib.sha256(found).hexdigest()

    def lines(self, split: str) -> int:
        records = (self.out / "metrics.jsonl").read_text("utf-8").splitlines()
        return sum(json.loads(record)["split"] == split for record in records)


Observe = Callable[[Ran], Any]


@dataclass(frozen=True)
class Row:
    """`option` as `other` instead of as `base` changes what `observe` sees, by `relation`."""

    option: str
    base: str | None
    other: str | None
    observe: Observe
    relation: Callable[[Any, Any], bool] = lambda base, other: base != other
    also: Mapping[str, str | None] = field(default_factory=dict)
    text: str = "tiny"


def weights(ran: Ran) -> str:
    assert ran.code == 0, ran.finished.err
    return ran.weights


def part(name: str, key: str = "characters") -> Observe:
    def observe(ran: Ran) -> Any:
        found = ran.summary[name]
        return None if found is None else found[key]

    return observe


def summary(key: str) -> Observe:
    return lambda ran: ran.summary[key]


def setting(key: str) -> Observe:
    section, name = key.split(".")
    return lambda ran: ran.config[section][name]


def events(ran: Ran) -> int:
    """How many event files of TensorBoard there are."""
    return len(list(ran.out.glob("tensorboard/events.*")))


def more(base: Any, other: Any) -> bool:
    return bool(other > base)


def fewer(base: Any, other: Any) -> bool:
    return bool(other < base)


def is_(base: Any, other: Any) -> Callable[[Any, Any], bool]:
    """What is seen is known exactly."""
    return lambda seen_base, seen_other: (seen_base, seen_other) == (base, other)


CUDA = torch.cuda.is_available()

ROWS = [
    Row("--valid", None, "OTHER", part("valid")),
    Row("--test", None, "OTHER", part("test"), lambda base, other: base is None and other == 12),
    Row("--valid-fraction", "0.1", "0.5", part("valid"), is_(100, 500), text="thousand"),
    Row("--test-fraction", "0", "0.25", part("test"), is_(None, 250), text="thousand"),
    # Five é are ten characters of 1,005 to those who read bytes as Latin-1.
    Row("--encoding", "utf-8", "latin-1", part("valid"), is_(100, 101), text="accents"),
    Row("--errors", "strict", "replace", lambda ran: ran.code, is_(3, 0), text="invalid"),
    # Ten digits are more kinds of characters than the text has.
    Row("--canaries", "0", "9", summary("parameters"), more),
    Row("--tokenizer", None, "byte", summary("parameters")),
    Row("--min-count", "1", "50", summary("parameters"), fewer),
    Row("--vocab-size", None, "262", summary("parameters"), fewer,
        also={"--tokenizer": "word", "--min-count": "1"}),
    # At "e." the first cuts once more than the second.
    Row("--word-split", "unicode", "whitespace", part("valid", "tokens"), fewer,
        also={"--tokenizer": "word"}),
    Row("--word-oov", "spell", "unk", summary("parameters"), fewer,
        also={"--tokenizer": "word"}),
    Row("--lowercase", None, "yes", summary("parameters"), fewer, text="capitals"),
    Row("--no-lowercase", "yes", "no", summary("parameters"), more, text="capitals"),
    Row("--layers", "2", "3", summary("parameters"),
        # Another layer: W_ih and W_hh of 4 x 24 rows and two biases.
        lambda base, other: other - base == 96 * 24 + 96 * 24 + 96 + 96),
    Row("--hidden-size", "24", "20", summary("parameters"), fewer),
    Row("--embedding-size", "12", "13", summary("parameters"),
        # A column of W_ih, and a number for each of the 24 characters and 257 symbols.
        lambda base, other: 96 + 257 < other - base < 96 + 257 + 40),
    Row("--tie-weights", "no", "yes", summary("parameters"), fewer),
    Row("--no-tie-weights", "yes", "no", summary("parameters"), more),
    Row("--last-hidden-size", "24", "20", summary("parameters"), fewer),
    Row("--cell", "lstm", "gru", summary("parameters"), fewer),
    Row("--nonlinearity", "tanh", "relu", weights, also={"--cell": "rnn"}),
    # W_k and b_k of one more place in each of two layers.
    Row("--context", "3", "4", summary("parameters"),
        lambda base, other: other - base == 24 * (12 + 1) + 24 * (24 + 1),
        also={"--cell": "conv", "--temporal-dropout": "0"}),
    Row("--bias", "no", "yes", summary("parameters"),
        # Two biases of 4 x 24 rows in each of two layers.
        lambda base, other: other - base == 2 * 2 * 96),
    Row("--no-bias", "yes", "no", summary("parameters"), fewer),
    Row("--forget-bias", None, "3", weights),
    Row("--ngram-order", "1", "2", summary("parameters"), more),
    Row("--ngram-rows", "32", "64", summary("parameters"),
        lambda base, other: other - base == 32 * 12, also={"--ngram-order": "3"}),
    Row("--decoder-lr-factor", None, "0.5", weights),
    Row("--ngram-lr", None, "0.5", weights, also={"--ngram-order": "3"}),
    # Of 281 tokens; the 256 bytes must stand in the head.
    Row("--softmax", "full", "adaptive", summary("parameters")),
    Row("--softmax-sample", None, "20", weights),
    Row("--cutoffs", None, "260,270", summary("parameters"), also={"--softmax": "adaptive"}),
    Row("--init", None, "default", weights),
    Row("--direction", None, "backward", weights),
    Row("--dropout", None, "0.5", weights),
    Row("--embedding-dropout", "0", "0.2", weights),
    Row("--activation-penalty", "0", "2", weights),
    Row("--temporal-activation-penalty", "0", "2", weights),
    Row("--input-dropout", "0.2", "0", weights),
    Row("--inter-layer-dropout", "0.2", "0", weights),
    Row("--temporal-dropout", "0.2", "0", weights),
    Row("--temporal-dropout-kind", None, "weight-drop", weights),
    Row("--temporal-dropout-mask", None, "stream", weights),
    Row("--output-dropout", "0.2", "0", weights),
    Row("--weight-decay", None, "0", weights),
    Row("--reset-probability", "0", "0.9", weights),
    Row("--lr", "0.02", "0.01", weights),
    Row("--optimizer", None, "sgd", weights),
    Row("--ema", None, "0.9", weights),
    Row("--schedule", None, "constant", weights),
    Row("--warmup-steps", "3", "0", weights),
    Row("--clip-norm", "none", "0.05", weights),
    Row("--batch-size", "4", "3", summary("epochs"), fewer),
    Row("--bptt", "16", "8", summary("epochs"), fewer),
    Row("--variable-bptt", "no", "yes", weights),
    Row("--no-variable-bptt", "yes", "no", weights),
    Row("--precision", "fp32", "bf16", weights),
    Row("--kernel", "fused", "reference", lambda ran: ran.kernels,
        is_({"fused"}, {"reference"})),
    Row("--threads", "1", "2", lambda ran: ran.threads, is_({1}, {2})),
    Row("--device", "cpu", "cuda",
        setting("optimisation.device") if CUDA else lambda ran: ran.code,
        is_("cpu", "cuda") if CUDA else is_(0, 2)),
    Row("--seed", None, "2", weights),
    Row("--epochs", "1", "2", summary("epochs"), is_(1.0, 2.0), also={"--steps": None},
        text="thousand"),
    Row("--steps", "12", "13", summary("steps"), is_(12, 13)),
    Row("--minutes", None, "0.000001", summary("steps"), is_(12, 0)),
    # So high a rate makes every evaluation worse than the first.
    Row("--patience", "none", "1", summary("steps"), fewer,
        also={"--eval-every": "1", "--lr": "5"}),
    Row("--eval-every", "12", "4", lambda ran: ran.lines("valid"), is_(1, 3)),
    Row("--report-every", "12", "4", lambda ran: ran.lines("train"), is_(1, 3)),
    # At the end, and as the best, and after each of the steps.
    Row("--save-every", "1000", "0", lambda ran: ran.saves,
        lambda base, other: other - base == 12),
    Row("--tensorboard", "no", "yes", events, is_(0, 1)),
    Row("--no-tensorboard", "yes", "no", events, is_(1, 0)),
]  # fmt: skip

# Shown to do something in the file named.
ELSEWHERE = {
    "--corpus": "test_embedded_corpora.py",
    "--out": "test_resume.py",
    "-o": "test_resume.py",
    "--resume": "test_resume.py",
    "--force": "test_resume.py",
    "--preset": "test_configuration.py",
    "--config": "test_configuration.py",
    "--set": "test_configuration.py",
    "--dry-run": "test_configuration.py",
    "--init-from": "../test_transfer.py",
}


def test_every_option_has_a_row() -> None:
    rows = [row.option for row in ROWS]
    assert len(rows) == len(set(rows))
    assert names("train") - COMMON == set(rows) | set(ELSEWHERE)


@pytest.fixture(scope="module")
def texts(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The texts that rows train on, by name."""
    folder = tmp_path_factory.mktemp("texts")
    contents = {
        "thousand": b"abcd efgh\n" * 100,
        "accents": ("abcd efgh\n" * 90 + "abcd\u00e9 efg\n" * 5 + "abcd efgh\n" * 5).encode(),
        "invalid": b"abcd \xff efgh\n" * 100,
        "capitals": b"Abcd Efgh\nabcd efgh\n" * 50,
        "other": b"twelve chars",
    }
    for name, content in contents.items():
        (folder / f"{name}.txt").write_bytes(content)
    return {"tiny": tiny_text} | {name: folder / f"{name}.txt" for name in contents}


@pytest.fixture(scope="module")
def ran_before() -> dict[tuple[Any, ...], Ran]:
    """Runs by their options, since most rows begin from the same one."""
    return {}


@pytest.fixture
def run_with(
    texts: dict[str, Path],
    ran_before: dict[tuple[Any, ...], Ran],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Ran]:
    """Trains with options and watches what the code does."""
    saves: list[int] = []
    kernels: set[str] = set()
    threads: set[int] = set()

    def watched(function: Callable[..., Any], note: Callable[[], Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            note()
            return function(*arguments, **keywords)

        return call

    rates = precision.ProductRates(50.0, 100.0, True)
    monkeypatch.setattr(precision, "probe", lambda device="cpu": rates)  # takes its time
    monkeypatch.setattr(checkpoint, "save", watched(checkpoint.save, lambda: saves.append(1)))
    monkeypatch.setattr(sequence, "run", watched(sequence.run, lambda: kernels.add("fused")))
    monkeypatch.setattr(reference, "run", watched(reference.run, lambda: kernels.add("reference")))

    monkeypatch.setattr(torch, "set_num_threads", threads.add)  # two on a busy core take long

    def run(options: Mapping[str, str | None], text: str) -> Ran:
        key = (text, *sorted((option, value or "") for option, value in options.items() if value))
        if key not in ran_before:
            ran_before[key] = train(options, text)
        return ran_before[key]

    def train(options: Mapping[str, str | None], text: str) -> Ran:
        saves.clear()
        kernels.clear()
        threads.clear()
        words = []
        for option, value in options.items():
            if value == "OTHER":
                value = str(texts["other"])
            if value in ("yes", "no"):
                name = option.removeprefix("--").removeprefix("no-")
                words.append({"yes": f"--{name}", "no": f"--no-{name}"}[value])
            elif value is not None:
                words += [option, value]
        out = tmp_path_factory.mktemp("option") / "run"
        finished = call("train", texts[text], "--out", out, "--json", *words)
        return Ran(finished, out, len(saves), frozenset(kernels), frozenset(threads))

    return run


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.option)
def test_option_changes_something(row: Row, run_with: Callable[..., Ran]) -> None:
    also = BASE | dict(row.also)
    seen = [
        row.observe(run_with(also | {row.option: value}, row.text))
        for value in (row.base, row.other)
    ]
    assert row.relation(*seen), seen


def test_same_command_gives_the_same_weights(
    run_with: Callable[..., Ran], ran_before: dict[tuple[Any, ...], Ran]
) -> None:
    """Or the rows above would see differences that no option makes."""
    once = weights(run_with(BASE, "tiny"))
    ran_before.clear()
    assert weights(run_with(BASE, "tiny")) == once
