"""Which options there are, by the names that users and scripts may rely on."""

import re
from typing import Any

import pytest
import typer

from charlm import registry
from charlm.cli.main import app
from contract.command import call

COMMON = {"--quiet", "-q", "--verbose", "-v", "--debug", "--json", "--help", "-h"}

# The contract, by groups, as the interface names them.
CONTRACT = {
    "train": {
        "corpus": "--valid --test --valid-fraction --test-fraction --encoding",
        "tokenizing": "--tokenizer --vocab-size --min-count --word-split --word-oov --lowercase",
        "model": "--cell --nonlinearity --layers --hidden-size --embedding-size --tie-weights "
        "--no-tie-weights --init --direction",
        "regularisation": "--inter-layer-dropout --temporal-dropout --temporal-dropout-kind "
        "--input-dropout --embedding-dropout --output-dropout --dropout --weight-decay "
        "--activation-penalty --temporal-activation-penalty --reset-probability",
        "optimisation": "--optimizer --lr --schedule --warmup-steps --clip-norm --ema "
        "--batch-size --bptt --precision --kernel --threads --device --seed",
        "budget": "--epochs --steps --minutes --patience --eval-every --report-every --save-every",
        "output": "--out --preset --config --set --dry-run --resume --force --init-from",
    },
    "generate": {
        "all": "--prompts --length --length-unit --num-samples --temperature --top-k --top-p "
        "--min-p --typical-p --repetition-penalty --greedy --beam --stop --seed --no-echo"
    },
    "evaluate": {"all": "--window --windows --dynamic --cache --precision"},
    "score": {"all": "--per-token --carry-state"},
    "info": {"all": ""},
    "export": {"all": ""},
    "finetune-classify": {
        "data": "--text-column --label-column --no-header --valid --test",
        "recipe": "--lm-epochs --lm-text --epochs --minutes --lr --discriminative-lr "
        "--gradual-unfreezing --no-gradual-unfreezing --schedule --pooling --head-size "
        "--class-weights --max-length --dropout --batch-size --backward --bidirectional "
        "--baseline --no-baseline --label-count --label-fraction --repeats --seed",
        "model": "--cell --nonlinearity --layers --hidden-size --embedding-size --tie-weights "
        "--no-tie-weights --init",
        "output": "--resume --force",
    },
    "classify": {
        "all": "--csv --jsonl --text-column --label-column --all --min-probability",
    },
    "embed": {"all": ""},
    "plot": {"all": ""},
    "compare": {"all": ""},
    "look": {"all": ""},
    "verify": {"all": ""},
    "doctor": {"all": ""},
    "correct": {"all": ""},
    "gradients": {"all": ""},
    "report": {"all": ""},
    "audit": {"all": "--corpus"},
    "quantise": {"all": ""},
    "forecast": {"all": ""},
}

_ADAPTING = (
    "--dynamic-rule --dynamic-lr --dynamic-decay --dynamic-segment --cache-size --cache-theta "
    "--cache-weight --counts --counts-order"
)
# Beyond the contract.
MORE = {
    "train": "-o --corpus --errors --no-lowercase --temporal-dropout-mask --last-hidden-size "
    "--forget-bias --context --bias --no-bias --variable-bptt --no-variable-bptt --tensorboard "
    "--ngram-order --ngram-rows --ngram-lr --decoder-lr-factor --canaries --softmax --cutoffs "
    "--softmax-sample "
    "--no-tensorboard",
    "generate": f"--no-greedy --encoding --errors --precision --dynamic --cache {_ADAPTING}",
    "evaluate": "--encoding --errors --threads --device --seed --kernel --temperature --tune "
    f"{_ADAPTING}",
    "score": "--encoding --errors --precision --threads --device --kernel --dynamic --cache "
    f"{_ADAPTING}",
    "info": "",
    "export": "--together",
    "finetune-classify": "-o --out --dry-run --csv --tsv --jsonl --valid-fraction --test-fraction "
    "--encoding --errors --tokenizer --vocab-size --min-count --word-split --word-oov --lowercase "
    "--no-lowercase --lm-lr --unfreeze-every --lm-loss --no-bidirectional --steps --patience "
    "--eval-every --report-every --save-every --optimizer --warmup-steps --clip-norm --ema --bptt "
    "--precision --kernel --threads --device --embedding-dropout --input-dropout "
    "--inter-layer-dropout --temporal-dropout --temporal-dropout-kind --temporal-dropout-mask "
    "--output-dropout --weight-decay --last-hidden-size --bias --no-bias --forget-bias --context "
    "--direction --unlabelled-text",
    "classify": "--tsv --no-header --together --encoding --errors --precision --threads --device "
    "--kernel",
    "embed": "-o --out --pooling --csv --tsv --jsonl --text-column --no-header --encoding "
    "--errors --precision --threads --device --kernel",
    "plot": "--out -o",
    "compare": "--out -o",
    "correct": "--backward --words --held-out --false-alarms --threshold --most --candidates "
    "--encoding --errors",
    "look": "--length --alternatives --follow --unit --out -o --encoding --errors",
    "verify": "",
    "doctor": "",
    "gradients": "--text --steps --streams --clip-norm --network --hidden-size --seed --out -o "
    "--encoding --errors",
    "report": "--out -o --no-text",
    "quantise": "--column --no-header --step --out -o --encoding --errors",
    "forecast": "--column --no-header --horizon --paths --seed --held-out --every --average --out "
    "-o --title --encoding --errors",
    "audit": "--held-out --samples --length --temperature --canary-draws --encoding --errors "
    "--seed",
}

# In the contract and still to come. Take a name away here when its option is there.
NOT_YET = {
    "train": "",
    "generate": "",
    "evaluate": "",
    "score": "",
    "info": "",
    "export": "",
    "finetune-classify": "",
    "classify": "",
    "embed": "",
    "plot": "",
    "compare": "",
    "look": "",
    "verify": "",
    "doctor": "",
    "correct": "",
    "gradients": "",
    "report": "",
    "audit": "",
    "quantise": "",
    "forecast": "",
}
VERBS_NOT_YET = ""

CHOICES = {
    "TOKENIZERS": "char byte word unigram bpe",
    "CELLS": "lstm gru gru-cho rnn feedforward conv",
    "SOFTMAXES": "full adaptive",
    "TEMPORAL_DROPOUTS": "variational weight-drop zoneout",
    "INITIALISATIONS": "default orthogonal identity uniform",
    "OPTIMIZERS": "sgd nt-asgd rmsprop adam adamw muon",
    "SCHEDULES": "constant cosine one-cycle stlr plateau",
    "LOGIT_FILTERS": "temperature top_k top_p min_p typical_p repetition_penalty",
}
CHOICES_NOT_YET = {
    "TOKENIZERS": "",
    "CELLS": "",
    "SOFTMAXES": "",
    "TEMPORAL_DROPOUTS": "",
    "INITIALISATIONS": "",
    "OPTIMIZERS": "",
    "SCHEDULES": "",
    "LOGIT_FILTERS": "",
}

_ADAPTING_DEFAULTS = {
    "--dynamic-rule": "rms", "--dynamic-lr": "auto", "--dynamic-decay": "0.001",
    "--dynamic-segment": "20", "--cache-size": "2000", "--cache-theta": "1",
    "--cache-weight": "0.1", "--counts-order": "auto",
}  # fmt: skip
# What --help must show as the value that holds where an option is left out.
DEFAULTS = {
    "train": {
        "--valid-fraction": "0.1", "--test-fraction": "0", "--tokenizer": "char",
        "--lowercase": "False", "--optimizer": "adamw",
        "--encoding": "utf-8", "--errors": "strict", "--cell": "lstm", "--dropout": "1",
        "--clip-norm": "1", "--save-every": "30", "--seed": "1", "--valid": "none",
        "--test": "none", "--epochs": "none", "--steps": "none", "--patience": "none",
        "--init": "orthogonal", "--init-from": "none", "--direction": "forward",
        "--ema": "none", "--variable-bptt": "False", "--tensorboard": "False",
        "--corpus": "none", "--canaries": "0", "--bias": "True",
        "--activation-penalty": "0", "--temporal-activation-penalty": "0",
        "--softmax": "full",
        **dict.fromkeys(
            ("--layers", "--hidden-size", "--embedding-size", "--tie-weights", "--vocab-size",
             "--min-count", "--word-split", "--word-oov",
             "--inter-layer-dropout", "--temporal-dropout", "--temporal-dropout-kind",
             "--temporal-dropout-mask", "--input-dropout", "--output-dropout", "--weight-decay",
             "--reset-probability",
             "--lr", "--schedule", "--warmup-steps", "--batch-size", "--bptt", "--precision",
             "--kernel",
             "--threads", "--device", "--minutes", "--eval-every", "--report-every",
             "--last-hidden-size", "--nonlinearity", "--context",
             "--forget-bias", "--embedding-dropout",
             "--ngram-order", "--ngram-rows", "--ngram-lr", "--decoder-lr-factor", "--cutoffs",
             "--softmax-sample"),
            "auto",
        ),
    },
    "generate": {
        "--length": "400", "--length-unit": "tokens", "--num-samples": "1", "--seed": "1",
        "--temperature": "1", "--top-k": "none", "--top-p": "none", "--greedy": "False",
        "--min-p": "none", "--typical-p": "none", "--repetition-penalty": "none",
        "--beam": "none", "--encoding": "utf-8", "--errors": "strict", "--precision": "auto",
        **_ADAPTING_DEFAULTS,
    },
    "evaluate": {
        "--window": "none", "--windows": "none", "--encoding": "utf-8", "--errors": "strict",
        "--precision": "auto", "--threads": "auto", "--device": "auto", "--seed": "1",
        "--kernel": "auto", "--temperature": "none", **_ADAPTING_DEFAULTS,
    },
    "score": {
        "--encoding": "utf-8", "--errors": "strict", "--precision": "auto", "--threads": "auto",
        "--device": "auto", "--kernel": "auto", **_ADAPTING_DEFAULTS,
    },
    "info": {},
    "export": {},
    "finetune-classify": {
        "--text-column": "text", "--label-column": "label", "--valid": "none", "--test": "none",
        "--valid-fraction": "0.1", "--test-fraction": "0", "--encoding": "utf-8",
        "--errors": "strict", "--tokenizer": "word", "--lowercase": "False", "--cell": "lstm",
        "--bias": "True", "--init": "orthogonal", "--dropout": "1", "--optimizer": "adamw",
        "--clip-norm": "1", "--ema": "none", "--seed": "1", "--epochs": "none",
        "--steps": "none", "--patience": "none", "--save-every": "30",
        "--discriminative-lr": "1", "--gradual-unfreezing": "False", "--pooling": "concat",
        "--head-size": "50", "--class-weights": "none", "--lm-loss": "0", "--lm-text": "none",
        "--backward": "none", "--bidirectional": "False", "--baseline": "True", "--repeats": "5",
        "--direction": "forward",
        **dict.fromkeys(
            ("--lm-epochs", "--lm-lr", "--unlabelled-text",
             "--unfreeze-every", "--max-length", "--minutes",
             "--eval-every", "--report-every", "--lr", "--schedule", "--warmup-steps",
             "--batch-size", "--bptt", "--precision", "--kernel", "--threads", "--device",
             "--embedding-dropout", "--input-dropout", "--inter-layer-dropout",
             "--temporal-dropout", "--temporal-dropout-kind", "--temporal-dropout-mask",
             "--output-dropout", "--weight-decay", "--vocab-size", "--min-count", "--word-split",
             "--word-oov", "--layers", "--hidden-size", "--embedding-size", "--last-hidden-size",
             "--tie-weights", "--nonlinearity", "--forget-bias", "--context"),
            "auto",
        ),
    },
    "classify": {
        "--text-column": "text", "--label-column": "none", "--min-probability": "0",
        "--encoding": "utf-8", "--errors": "strict", "--precision": "auto", "--threads": "auto",
        "--device": "auto", "--kernel": "auto",
    },
    "embed": {
        "--text-column": "text", "--pooling": "auto", "--encoding": "utf-8", "--errors": "strict",
        "--precision": "auto", "--threads": "auto", "--device": "auto", "--kernel": "auto",
    },
    "plot": {},
    "compare": {},
    "correct": {
        "--false-alarms": "0.001", "--threshold": "auto", "--most": "12",
        "--encoding": "utf-8", "--errors": "strict",
    },
    "report": {},
    "gradients": {
        "--steps": "100", "--streams": "16", "--clip-norm": "1", "--hidden-size": "64",
        "--seed": "1", "--encoding": "utf-8", "--errors": "strict",
    },
    "look": {
        "--length": "1000", "--alternatives": "0", "--encoding": "utf-8", "--errors": "strict",
    },
    "verify": {},
    "doctor": {},
    "quantise": {"--step": "auto", "--encoding": "utf-8", "--errors": "strict"},
    "forecast": {
        "--horizon": "20", "--paths": "200", "--seed": "1", "--held-out": "none",
        "--every": "auto", "--average": "auto", "--encoding": "utf-8", "--errors": "strict",
    },
    "audit": {
        "--samples": "20", "--length": "1000", "--temperature": "1", "--canary-draws": "2000",
        "--encoding": "auto", "--errors": "auto", "--seed": "1",
    },
}  # fmt: skip

VERBS = list(CONTRACT)
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def options(verb: str) -> list[Any]:
    """The options of a verb, those of every verb among them."""
    return [found for found in COMMANDS[verb].params if found.param_type_name == "option"]


def names(verb: str) -> set[str]:
    return {name for option in options(verb) for name in (*option.opts, *option.secondary_opts)}


def contract(verb: str) -> set[str]:
    return set(" ".join(CONTRACT[verb].values()).split())


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_those_of_the_contract(verb: str) -> None:
    not_yet, more = set(NOT_YET[verb].split()), set(MORE[verb].split())
    assert not_yet <= contract(verb), "not yet, but not in the contract"
    assert not more & contract(verb), "more, but in the contract"
    assert names(verb) - COMMON == (contract(verb) - not_yet) | more


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_common_options(verb: str) -> None:
    # -h and --help are the framework's own.
    assert names(verb) >= COMMON - {"-h", "--help"}


def test_verbs_are_those_of_the_contract() -> None:
    assert set(COMMANDS) == set(VERBS)
    assert not set(COMMANDS) & set(VERBS_NOT_YET.split())


@pytest.mark.parametrize("table", CHOICES)
def test_choices_are_those_of_the_contract(table: str) -> None:
    not_yet = set(CHOICES_NOT_YET[table].split())
    assert set(getattr(registry, table)) == set(CHOICES[table].split()) - not_yet


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_documented_with_its_default(verb: str) -> None:
    for option in options(verb):
        help = option.help or ""
        name = option.opts[0]
        assert len(help.split()) >= 2, f"{name} has no help"
        if name in DEFAULTS[verb]:
            assert f"(default: {DEFAULTS[verb][name]})" in help, name
        else:
            # A flag that is off, or something that is not there unless it is given.
            assert option.default in (None, False, ()), name


@pytest.mark.parametrize("verb", VERBS)
def test_every_default_is_checked(verb: str) -> None:
    shown = {option.opts[0] for option in options(verb) if "(default: " in (option.help or "")}
    assert shown == set(DEFAULTS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_every_option_and_an_example(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")  # at 80 a long name and its opposite are cut
    shown = call(verb, "--help")
    text = shown.out + shown.err
    assert shown.code == 0
    assert f"Example: charlm {verb} " in text
    assert names(verb) <= set(re.findall(r"-{1,2}[a-z][a-z-]*", text))


def test_help_shows_the_options_in_groups() -> None:
    text = call("train", "--help").out.lower()
    for group in ("corpus", "tokenizing", "model", "regularisation", "optimisation", "budget"):
        assert f"─ {group} ─" in text
