"""Numbers that cannot be meant are refused, with the option and what was needed."""

from pathlib import Path

import pytest

from contract.command import call

_ADAPTING = {
    "--dynamic-lr": ("a number", False), "--dynamic-decay": ("a number", True),
    "--dynamic-segment": ("a whole number", False), "--cache-size": ("a whole number", False),
    "--cache-theta": ("a number", True), "--cache-weight": ("a number", True),
    "--counts-order": ("a whole number", False),
}  # fmt: skip
# option: kind, and whether zero makes sense
NUMBERS = {
    "train": {
        "--valid-fraction": ("a number", True), "--test-fraction": ("a number", True),
        "--canaries": ("a whole number", True),
        "--vocab-size": ("a whole number", False),
        "--min-count": ("a whole number", False), "--layers": ("a whole number", False),
        "--context": ("a whole number", False),
        "--hidden-size": ("a whole number", False), "--embedding-size": ("a whole number", False),
        "--last-hidden-size": ("a whole number", False), "--forget-bias": ("a number", True),
        "--embedding-dropout": ("a number", True), "--activation-penalty": ("a number", True),
        "--temporal-activation-penalty": ("a number", True),
        "--dropout": ("a number", True), "--input-dropout": ("a number", True),
        "--inter-layer-dropout": ("a number", True), "--temporal-dropout": ("a number", True),
        "--output-dropout": ("a number", True), "--weight-decay": ("a number", True),
        "--reset-probability": ("a number", True), "--lr": ("a number", False),
        "--warmup-steps": ("a whole number", True), "--clip-norm": ("a number", False),
        "--ema": ("a number", False),
        "--batch-size": ("a whole number", False), "--bptt": ("a whole number", False),
        "--threads": ("a whole number", False), "--seed": ("a whole number", True),
        "--epochs": ("a number", False), "--steps": ("a whole number", False),
        "--minutes": ("a number", False), "--patience": ("a whole number", False),
        "--eval-every": ("a whole number", False), "--report-every": ("a whole number", False),
        "--save-every": ("a number", True), "--ngram-order": ("a whole number", False),
        "--softmax-sample": ("a whole number", False),
        "--ngram-rows": ("a whole number", False), "--ngram-lr": ("a number", False),
        "--decoder-lr-factor": ("a number", False),
    },
    "generate": {
        "--length": ("a whole number", True), "--num-samples": ("a whole number", False),
        "--seed": ("a whole number", True), "--temperature": ("a number", True),
        "--top-k": ("a whole number", False), "--top-p": ("a number", True),
        "--min-p": ("a number", True), "--typical-p": ("a number", True),
        "--repetition-penalty": ("a number", False), "--beam": ("a whole number", False),
        **_ADAPTING,
    },
    "evaluate": {
        "--window": ("a whole number", False), "--windows": ("a whole number", False),
        "--threads": ("a whole number", False), "--seed": ("a whole number", True),
        "--temperature": ("a number", False), **_ADAPTING,
    },
    "score": {"--threads": ("a whole number", False), **_ADAPTING},
    "audit": {
        "--samples": ("a whole number", False), "--length": ("a whole number", False),
        "--temperature": ("a number", False), "--canary-draws": ("a whole number", False),
        "--seed": ("a whole number", True),
    },
}  # fmt: skip

# Just beyond what a probability or share may be.
TOO_MUCH = {
    "train": {
        **dict.fromkeys(
            ("--valid-fraction", "--test-fraction", "--input-dropout", "--inter-layer-dropout",
             "--temporal-dropout", "--output-dropout", "--embedding-dropout"), "1"
        ),
        "--ema": "1",
        "--reset-probability": "1.001", "--hidden-size": "1000000000", "--layers": "65",
        "--softmax-sample": "2147483649", "--decoder-lr-factor": "1001",
        "--ngram-order": "33", "--ngram-rows": "134217728",
    },
    "evaluate": {
        "--dynamic-decay": "1.001", "--dynamic-segment": "10001", "--cache-weight": "1",
        "--cache-size": "1000001", "--temperature": "100.1", "--counts-order": "33",
    },
    "generate": {
        "--top-p": "1.001", "--min-p": "1.001", "--typical-p": "1.001", "--beam": "1025",
        "--repetition-penalty": "1000.1",
    },
}  # fmt: skip

CASES = [
    (verb, option, value, kind)
    for verb, options in NUMBERS.items()
    for option, (kind, zero) in options.items()
    for value in ["nan", "inf", "-inf", "-1", "many", ""]
    + ([] if zero else ["0"])
    + (["1.5", "9" * 400] if kind == "a whole number" else [])
] + [
    (verb, option, value, "number")
    for verb, options in TOO_MUCH.items()
    for option, value in options.items()
]


def test_every_option_with_a_number_is_here() -> None:
    """`N` and `X` stand for numbers in the help."""
    from contract.test_options import options

    for verb, expected in NUMBERS.items():
        found = {o.opts[0] for o in options(verb) if o.metavar in ("N", "X")}
        assert found == set(expected), verb


@pytest.mark.parametrize(("verb", "option", "value", "kind"), CASES)
def test_senseless_number_is_refused(
    verb: str, option: str, value: str, kind: str, tmp_path: Path
) -> None:
    where = ["--out", str(tmp_path / "run")] if verb == "train" else [str(tmp_path / "run")]
    if verb == "evaluate" and option == "--windows":
        where += ["--window", "3"]
    refused = call(verb, *where, option, value)
    assert refused.code == 2
    assert f"{option} is {value}; needed: " in refused.err
    assert kind in refused.err.split("needed: ", 1)[1]
    assert refused.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [
        ("--cell", "lstn", "lstm"),
        ("--tokenizer", "chars", "char"),
        ("--schedule", "cosin", "cosine"),
        ("--temporal-dropout-kind", "weightdrop", "weight-drop"),
        ("--init", "ortogonal", "orthogonal"),
        ("--precision", "fp23", "fp32"),
        ("--word-split", "whitespaces", "whitespace"),
        ("--word-oov", "spel", "spell"),
    ],
)
def test_unknown_word_is_answered_with_the_nearest(
    option: str, value: str, near: str, tmp_path: Path
) -> None:
    refused = call("train", "--out", tmp_path / "run", option, value)
    assert refused.code == 2
    assert f"{option} is {value}; needed: " in refused.err
    assert f"(did you mean {near}?)" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tokenizer", "byte", "--min-count", "3"),
        ("--tokenizer", "bpe", "--min-count", "3"),
        ("--vocab-size", "300"),
        ("--tokenizer", "byte", "--vocab-size", "300"),
        ("--word-split", "unicode"),
        ("--tokenizer", "unigram", "--word-split", "whitespace"),
        ("--tokenizer", "byte", "--word-oov", "spell"),
        ("--layers", "1", "--inter-layer-dropout", "0.5"),
        ("--temporal-dropout", "0", "--temporal-dropout-kind", "weight-drop"),
        ("--temporal-dropout-kind", "weight-drop", "--temporal-dropout-mask", "stream"),
        ("--valid-fraction", "0.5", "--test-fraction", "0.5"),
        ("--ema", "0.9", "--optimizer", "nt-asgd"),
        ("--schedule", "one-cycle", "--warmup-steps", "5"),
        ("--schedule", "stlr", "--warmup-steps", "5"),
        ("--valid-fraction", "0", "--optimizer", "nt-asgd"),
        ("--valid-fraction", "0", "--schedule", "plateau"),
        ("--resume", "--force"),
        ("--cell", "gru", "--nonlinearity", "relu"),
        ("--cell", "rnn", "--forget-bias", "1"),
        ("--cell", "gru", "--context", "3"),
        ("--cell", "conv", "--forget-bias", "1"),
        ("--cell", "conv", "--init", "identity"),
        ("--cell", "feedforward", "--temporal-dropout", "0.2"),
        ("--cell", "conv", "--temporal-dropout-kind", "zoneout"),
        ("--cell", "conv", "--temporal-dropout-mask", "stream"),
        ("--cell", "feedforward", "--layers", "2"),
        ("--cell", "feedforward", "--inter-layer-dropout", "0.2"),
        ("--cell", "feedforward", "--last-hidden-size", "6"),
        ("--no-bias", "--forget-bias", "1"),
        ("--temporal-activation-penalty", "1", "--bptt", "1"),
        ("--layers", "1", "--hidden-size", "8", "--last-hidden-size", "6"),
        ("--ngram-order", "1", "--ngram-rows", "64"),
        ("--ngram-order", "1", "--ngram-lr", "0.1"),
        ("--tie-weights", "--decoder-lr-factor", "2"),
        ("--ngram-rows", "48"),
        ("--cutoffs", "200,250"),
        ("--softmax", "adaptive", "--tie-weights"),
        ("--softmax", "adaptive", "--softmax-sample", "300"),
    ],
)
def test_option_that_the_rest_cannot_use_is_refused(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    refused = call("train", "--out", tmp_path / "run", *arguments)
    assert refused.code == 2
    assert all(word in refused.err for word in arguments if word.startswith("--"))


@pytest.mark.parametrize("cutoffs", ["250,200", "nan", "0,200", "", "200,,300", "200, 300", "-1"])
def test_cutoffs_that_do_not_rise_are_refused(cutoffs: str, tmp_path: Path) -> None:
    option = f"--cutoffs={cutoffs}"
    refused = call("train", "--out", tmp_path / "run", "--softmax", "adaptive", option)
    assert refused.code == 2
    assert "--cutoffs" in refused.err and "rising whole numbers" in refused.err


def test_option_that_waits_for_evaluations_needs_a_validation_text_that_is_not_empty(
    tmp_path: Path,
) -> None:
    """Of 5,000 characters, a ten-thousandth for each of two parts leaves nothing for the first."""
    text = tmp_path / "text.txt"
    text.write_text("abcd efgh\n" * 500)
    fractions = ("--valid-fraction", "0.0001", "--test-fraction", "0.0001")
    refused = call(
        "train", text, "--out", tmp_path / "run", *fractions, "--optimizer", "nt-asgd", "--steps",
        "2",
    )  # fmt: skip
    assert refused.code == 2
    assert "--optimizer nt-asgd needs a validation text" in refused.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("evaluate", ("--windows", "3")),
        ("evaluate", ("--seed", "3")),
        ("evaluate", ("--encoding", "latin-1")),
        ("evaluate", ("--errors", "replace")),
        ("evaluate", ("--dynamic-rule", "sgd")),
        ("evaluate", ("--dynamic-lr", "0.1")),
        ("evaluate", ("--dynamic-decay", "0.1")),
        ("evaluate", ("--cache", "--dynamic-segment", "9")),
        ("evaluate", ("--dynamic", "--cache-size", "9")),
        ("evaluate", ("--cache-theta", "0.1")),
        ("evaluate", ("--cache-weight", "0.1")),
        ("evaluate", ("--dynamic", "--window", "9")),
        ("evaluate", ("--cache", "--window", "9")),
        ("evaluate", ("--counts", "--window", "9")),
        ("evaluate", ("--tune", "--counts")),
        ("evaluate", ("--counts-order", "3")),
        ("score", ("--cache", "--counts-order", "3")),
        ("generate", ("the", "--counts-order", "3")),
        ("evaluate", ("--tune", "--json")),
        ("evaluate", ("--dynamic", "--tune", "--dynamic-lr", "0.1")),
        ("evaluate", ("--cache", "--tune", "--cache-weight", "0.1")),
        ("score", ("--dynamic-lr", "0.1")),
        ("score", ("--dynamic", "--cache-size", "9")),
        ("generate", ("the", "--cache-theta", "2")),
        ("generate", ("the", "--cache", "--dynamic-rule", "sgd")),
        ("generate", ("--dynamic", "--json")),
        ("generate", ("--cache", "--precision", "bf16")),
        ("generate", ("--greedy", "--temperature", "0.5")),
        ("generate", ("--greedy", "--top-k", "5")),
        ("generate", ("--greedy", "--top-p", "0.5")),
        ("generate", ("--greedy", "--min-p", "0.5")),
        ("generate", ("--greedy", "--typical-p", "0.5")),
        ("generate", ("--greedy", "--seed", "1")),
        ("generate", ("--temperature", "0", "--top-k", "5")),
        ("generate", ("--temperature", "0", "--top-p", "0.5")),
        ("generate", ("--temperature", "0", "--min-p", "0.5")),
        ("generate", ("--temperature", "0", "--typical-p", "0.5")),
        ("generate", ("--temperature", "0", "--seed", "1")),
        ("generate", ("--beam", "3", "--temperature", "0.5")),
        ("generate", ("--beam", "3", "--temperature", "0")),
        ("generate", ("--beam", "3", "--top-k", "5")),
        ("generate", ("--beam", "3", "--top-p", "0.5")),
        ("generate", ("--beam", "3", "--min-p", "0.5")),
        ("generate", ("--beam", "3", "--typical-p", "0.5")),
        ("generate", ("--beam", "3", "--repetition-penalty", "2")),
        ("generate", ("--beam", "3", "--seed", "1")),
        ("generate", ("--beam", "3", "--num-samples", "4")),
        ("generate", ("--greedy", "--beam", "3")),
        ("generate", ("--encoding", "latin-1")),
        ("generate", ("--errors", "replace")),
        ("generate", ("--stop", "")),
    ],
)
def test_option_of_no_use_to_a_reading_verb_is_refused(
    verb: str, arguments: tuple[str, ...], tiny_run: Path
) -> None:
    refused = call(verb, tiny_run, *arguments)
    assert refused.code == 2
    assert arguments[-2] in refused.err
    assert refused.out == ""
