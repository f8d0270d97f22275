"""Where settings come from: defaults < preset < file < options; and what --dry-run shows."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm import precedence
from contract.command import call
from contract.test_options import DEFAULTS


def planned(*arguments: str | Path) -> dict[str, Any]:
    done = call("train", *arguments, "--dry-run", "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "small.toml").write_text(
        "[model]\nhidden_size = 11\nlayers = 2\n[optimisation]\nlr = 0.011\nbptt = 11\n"
    )
    monkeypatch.setattr(precedence, "PRESETS", folder)
    return "small"


def test_precedence(preset: str, tiny_text: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[model]\nhidden_size = 22\n[optimisation]\nlr = 0.022\nbatch_size = 2\n")
    sources = ["--preset", preset, "--config", file, "--set", "optimisation.lr=0.033"]
    config = planned(tiny_text, *sources, "--set", "model.embedding_size=33")["config"]
    assert config["model"]["layers"] == 2  # the preset alone
    assert config["optimisation"]["bptt"] == 11
    assert config["model"]["hidden_size"] == 22  # the file over the preset
    assert config["optimisation"]["batch_size"] == 2
    assert config["optimisation"]["lr"] == 0.033  # --set over the file
    assert config["model"]["embedding_size"] == 33
    over = planned(tiny_text, *sources[:4], "--lr", "0.044", "--hidden-size", "44")["config"]
    assert over["optimisation"]["lr"] == 0.044  # the option over everything
    assert over["model"]["hidden_size"] == 44
    refused = call("train", tiny_text, *sources, "--lr", "0.044", "--dry-run")
    assert refused.code == 2 and "--lr and --set optimisation.lr are both given" in refused.err


@pytest.mark.parametrize(
    ("words", "minutes", "epochs", "steps"),
    [
        ((), 20.0, None, None),
        (("--epochs", "3"), None, 3.0, None),
        (("--steps", "9"), None, None, 9),
        (("--epochs", "3", "--minutes", "2"), 2.0, 3.0, None),
        (("--set", "budget.minutes=2", "--epochs", "3"), 2.0, 3.0, None),
        (("--minutes", "none", "--steps", "9"), None, None, 9),
    ],
)
def test_a_limit_takes_the_place_of_those_of_a_preset(
    words: tuple[str, ...],
    minutes: float | None,
    epochs: float | None,
    steps: int | None,
    tiny_text: Path,
) -> None:
    """--preset char ends after twenty minutes; who says --epochs does not want them too."""
    small = ("--hidden-size", "8", "--batch-size", "2", "--bptt", "16")
    budget = planned(tiny_text, "--preset", "char", *small, *words)["config"]["budget"]
    assert (budget["minutes"], budget["epochs"], budget["steps"]) == (minutes, epochs, steps)


def test_no_preset_is_applied_by_itself(preset: str, tiny_text: Path) -> None:
    assert planned(tiny_text)["config"]["optimisation"]["bptt"] != 11


@pytest.mark.parametrize("name", [path.stem for path in precedence.PRESETS.glob("*.toml")])
def test_every_preset_plans_a_run(name: str, tiny_text: Path) -> None:
    given = precedence.read_preset(name).values
    config = planned(tiny_text, "--preset", name, "--batch-size", "2", "--bptt", "16")["config"]
    for key, value in given.items():
        section, entry = key.split(".")
        if entry not in ("batch_size", "bptt"):
            assert config[section][entry] == value, key


def test_awd_lstm_is_the_network_of_the_paper() -> None:
    """33 million weights on WikiText-2 (Merity et al. 2018, table 2)."""
    from charlm.model.language_model import Architecture

    model = precedence.build([precedence.read_preset("awd-lstm")]).model
    network = Architecture(
        33_278, model.cell, model.layers, model.hidden_size, model.embedding_size,
        model.tie_weights, model.last_hidden_size,
    )  # fmt: skip
    assert network.sizes == (1150, 1150, 400)
    assert network.parameters() // 10**6 == 33


def test_awd_lstm_is_evaluated_once_a_pass(tiny_text: Path) -> None:
    """Its average begins when five evaluations bring nothing, and those are passes."""
    from charlm.training.window_lengths import VariableLengths

    config = precedence.build([precedence.read_preset("awd-lstm")])
    o = config.optimisation
    windows = VariableLengths(2_088_628 // o.batch_size, o.bptt, o.seed).count
    assert config.budget.eval_every == pytest.approx(windows, rel=0.01)
    # Nothing that its paper does not have.
    resolved = planned(tiny_text, "--preset", "awd-lstm", "--batch-size", "2")["config"]
    assert (resolved["model"]["forget_bias"], resolved["model"]["ngram_order"]) == (0, 1)
    assert resolved["optimisation"]["decoder_lr_factor"] == 1


def test_unknown_preset(preset: str) -> None:
    refused = call("train", "--preset", "smal", "--dry-run")
    assert refused.code == 2
    assert "did you mean small?" in refused.err


def test_all_problems_at_once_with_the_nearest_names(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        "[model]\nhiden_size = 22\nlayers = 0\n[optimisation]\nlr = nan\nseed = true\n"
        "[corpse]\na = 1\n"
    )
    refused = call(
        "train", "--config", file, "--set", "budget.step=3", "--bptt", "-1", "--cell", "lsmt",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert refused.code == 2
    for problem in (
        f"{file}: no setting model.hiden_size (did you mean model.hidden_size?)",
        f"{file}: model.layers is 0; needed: a whole number from 1 to 64",
        f"{file}: optimisation.lr is nan; needed: a number above 0",
        f"{file}: optimisation.seed is True; needed: a whole number",
        f"{file}: no setting corpse.a",
        "--set: no setting budget.step (did you mean budget.steps?)",
        "--bptt is -1; needed: a whole number from 1",
        "--cell is lsmt; needed: lstm",
    ):
        assert problem in refused.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "nothing.toml"),
        ("--config", "BAD"),
        ("--set", "model.layers"),
        ("--set", "layers=2"),
        ("--preset", "../../etc/passwd"),
    ],
    ids=" ".join,
)
def test_bad_source_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("layers = = 2")
    words = [str(tmp_path / "bad.toml") if word == "BAD" else word for word in arguments]
    refused = call("train", "--out", tmp_path / "run", *words)
    assert refused.code == 2
    assert not (tmp_path / "run").exists()


def test_dry_run_shows_everything_resolved_and_makes_nothing(
    tiny_text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = call("train", tiny_text, "--out", out, "--dry-run", "--steps", "7")
    assert done.code == 0
    assert not out.exists()
    config = tomllib.loads(done.out)
    assert set(config) == {
        "corpus", "tokenizer", "model", "regularisation", "optimisation", "budget"
    }  # fmt: skip
    shown = {f"--{name.replace('_', '-')}" for section in config.values() for name in section}
    assert shown == set(DEFAULTS["train"])
    left = {name for section in config.values() for name, v in section.items() if v == "auto"}
    assert left <= {
        "vocab_size", "min_count", "word_split", "word_oov", "kernel", "nonlinearity",
        "context", "cutoffs", "ngram_lr", "last_hidden_size",
    }, "auto stands only where its meaning is fixed"  # fmt: skip
    assert "parameters" in done.err and "MiB" in done.err
    assert "tokens to train on" in done.err


def test_two_kilobytes_train_with_a_warning(
    words: Callable[[int, int], str], tmp_path: Path
) -> None:
    little, enough = tmp_path / "little.txt", tmp_path / "enough.txt"
    little.write_text(words(1, 50)[:2000], "utf-8")
    enough.write_text(words(1, 300), "utf-8")
    for tokenizer in ("char", "word", "unigram", "bpe"):
        out = tmp_path / tokenizer
        done = call("train", little, "--out", out, "--tokenizer", tokenizer, "--steps", "2")
        assert done.code == 0, done.err
        assert "tokens are little to learn from" in done.err
    assert "little to learn from" in call("train", little, "--dry-run").err
    assert "little to learn from" not in call("train", enough, "--dry-run").err


@pytest.mark.parametrize(
    "options", [("--schedule", "plateau"), ("--optimizer", "nt-asgd")], ids=" ".join
)
def test_too_few_evaluations_to_act_on_are_said(options: tuple[str, str], tiny_text: Path) -> None:
    sized = ("--hidden-size", "8", "--dry-run", "--steps", "60", *options, "--eval-every")
    assert f"{options[1]} acts on evaluations" in call("train", tiny_text, *sized, "30").err
    assert "acts on evaluations" not in call("train", tiny_text, *sized, "6").err


def test_a_last_layer_of_its_own_size_makes_two(tiny_text: Path) -> None:
    model = planned(tiny_text, "--hidden-size", "20", "--last-hidden-size", "12")["config"]["model"]
    assert (model["layers"], model["hidden_size"], model["last_hidden_size"]) == (2, 20, 12)


def test_dry_run_counts_parameters(tiny_text: Path) -> None:
    found = planned(
        tiny_text, "--hidden-size", "5", "--embedding-size", "4", "--layers", "2", "--tokenizer",
        "byte", "--no-tie-weights", "--ngram-order", "3", "--ngram-rows", "64",
    )  # fmt: skip
    V, E, H = 256, 4, 5
    lstm = 4 * H * (E + H + 2) + 4 * H * (H + H + 2)
    ngrams = 64 * E  # their codes are not learned
    assert found["parameters"] == V * E + ngrams + lstm + V * H + V
    text = tiny_text.read_text("utf-8")
    assert found["train_tokens"] == len(text[: len(text) * 9 // 10].encode())
    assert found["memory_bytes"] > 4 * 4 * found["parameters"]
    sizes = "--hidden-size", "5", "--embedding-size", "4", "--layers", "2"
    plain = planned(tiny_text, *sizes)
    for more in (("--ema", "0.9"), ("--optimizer", "nt-asgd")):
        averaged = planned(tiny_text, *sizes, *more)
        assert averaged["memory_bytes"] - plain["memory_bytes"] == 2 * 4 * plain["parameters"]
    assert set(found["reasons"]) >= {"optimisation.lr", "optimisation.batch_size"}


@pytest.mark.parametrize(
    "options",
    [
        "--hidden-size 5 --clip-norm none --precision fp32",
        "--tokenizer word",
        "--tokenizer bpe --softmax adaptive --vocab-size 300",
        "--cell rnn --init identity --nonlinearity relu",
        "--cell conv",
        "--cell feedforward",
        "--cell gru --no-bias --layers 2",
        "--temporal-dropout 0",
        "--schedule one-cycle",
        "--valid-fraction 0",
        "--ngram-order 3",
        "--optimizer nt-asgd",
        "--temporal-dropout-kind zoneout",
        "--temporal-dropout-kind weight-drop --temporal-dropout 0.2",
    ],
)
def test_file_of_a_dry_run_gives_the_same_run(
    options: str, tiny_text: Path, tmp_path: Path
) -> None:
    file = tmp_path / "resolved.toml"
    for budget in (["--steps", "7"], ["--epochs", "5"]):
        first = call("train", tiny_text, "--dry-run", *budget, *options.split())
        file.write_text(first.out)
        again = call("train", tiny_text, "--dry-run", "--config", file)
        assert again.code == 0, again.err
        assert again.out == first.out


def test_a_size_given_beside_the_file_of_a_dry_run_is_that_of_all_layers(
    tiny_text: Path, tmp_path: Path
) -> None:
    file = tmp_path / "resolved.toml"
    file.write_text(call("train", tiny_text, "--dry-run", "--steps", "7", "--layers", "2").out)
    model = planned(tiny_text, "--config", str(file), "--hidden-size", "24")["config"]["model"]
    assert (model["hidden_size"], model["last_hidden_size"]) == (24, "auto")


def test_the_plan_of_an_embedded_corpus_can_be_given_to_another_text(
    tiny_text: Path, tmp_path: Path
) -> None:
    file = tmp_path / "resolved.toml"
    file.write_text(call("train", "--dry-run", "--steps", "7", "--hidden-size", "8").out)
    corpus = planned(tiny_text, "--config", str(file))["config"]["corpus"]
    assert corpus["valid"] == corpus["test"] == "none" or not corpus["valid"]
