"""`charlm evaluate` and `charlm score`: figures that add up, and options that change them."""

import json
import math
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import charlm
from charlm import loaded
from charlm.evaluation.own_text import own_text
from charlm.model.kernels import reference, sequence
from contract.command import QUICK, call
from contract.test_options import COMMON, names

KEYS = (
    "tokens characters bytes words nats_per_token perplexity bits_per_character bits_per_byte "
    "word_perplexity oov_rate"
)
CUDA = torch.cuda.is_available()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory, words: Callable[[int, int], str]) -> Path:
    """New text with an empty line, characters never seen, and no line break at its end."""
    path = tmp_path_factory.mktemp("measured") / "new.txt"
    path.write_text(words(7, 40) + "\n李白\tΩ\r\n" + words(8, 3) + "the end", "utf-8")
    return path


def evaluate(run: Path, *arguments: str | Path) -> dict[str, Any]:
    done = call("evaluate", run, *arguments, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def score(run: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    done = call("score", run, *arguments, "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.split("\n")[:-1]]


def test_evaluate_json_keys_and_what_they_mean(tiny_run: Path, text: Path) -> None:
    found = evaluate(tiny_run, text)
    content = text.read_bytes().decode("utf-8")
    assert list(found) == KEYS.split()
    assert found["characters"] == len(content)
    assert found["bytes"] == len(content.encode())
    assert found["words"] == len(content.split())
    # A marker and its bytes stand for each of 李 白 Ω \t \r, which the training text has not.
    assert found["tokens"] == len(content) - 5 + 5 + (3 + 3 + 2 + 1 + 1)
    nats = found["nats_per_token"] * found["tokens"]
    bits = nats / math.log(2)
    assert found["perplexity"] == pytest.approx(math.exp(found["nats_per_token"]))
    assert found["bits_per_character"] == pytest.approx(bits / len(content))
    assert found["bits_per_byte"] == pytest.approx(bits / len(content.encode()))
    breaks = content.count("\n")
    assert found["word_perplexity"] == pytest.approx(
        math.exp(nats / (len(content.split()) + breaks))
    )
    assert found["oov_rate"] == 0


@pytest.mark.parametrize("lines_at_once", [512, 3, 1])
def test_carried_score_is_what_evaluate_finds(
    lines_at_once: int, tiny_run: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "_LINES", lines_at_once)
    figures = evaluate(tiny_run, text)
    lines = score(tiny_run, text, "--carry-state")
    total = figures["nats_per_token"] * figures["tokens"] / math.log(2)
    assert sum(line["bits"] for line in lines) == pytest.approx(total, rel=1e-5)
    assert sum(line["tokens"] for line in lines) == figures["tokens"]


def test_one_line_scores_what_it_evaluates_to(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "line"
    path.write_text("she came to ward four.\n")
    figures, (line,) = evaluate(tiny_run, path), score(tiny_run, path)
    bits = figures["nats_per_token"] * figures["tokens"] / math.log(2)
    assert line["bits"] == pytest.approx(bits, rel=1e-5)


def test_lines_of_score(tiny_run: Path, text: Path) -> None:
    content = text.read_bytes().decode("utf-8")
    expected = content.split("\n")  # no line break at the end
    found = score(tiny_run, text)
    assert [line["line"] for line in found] == expected
    empty = found[expected.index("")]
    assert empty["tokens"] == 1 and empty["bits_per_character"] == empty["bits"]
    last = found[-1]
    assert last["line"] == "the end" and last["tokens"] == len("the end")
    assert last["bits_per_character"] == pytest.approx(last["bits"] / len("the end"))
    first = found[0]  # its line break is one of its characters
    assert first["bits_per_character"] == pytest.approx(first["bits"] / (len(expected[0]) + 1))


def test_columns_of_score(tiny_run: Path, text: Path) -> None:
    done = call("score", tiny_run, text)
    rows = [line.split("\t", 3) for line in done.out.split("\n")[:-1]]
    for row, line in zip(rows, score(tiny_run, text), strict=True):
        assert float(row[0]) == pytest.approx(line["bits"], abs=1e-4)
        assert int(row[1]) == line["tokens"]
        assert float(row[2]) == pytest.approx(line["bits_per_character"], abs=1e-4)
        assert row[3] == line["line"]


def test_tokens_add_up_to_their_line(tiny_run: Path, text: Path) -> None:
    for line in score(tiny_run, text, "--per-token"):
        assert len(line["token_bits"]) == line["tokens"]
        assert sum(bits for _, bits in line["token_bits"]) == pytest.approx(line["bits"])
        assert all(bits >= 0 for _, bits in line["token_bits"])
    rows = call("score", tiny_run, text, "--per-token").out.split("\n")[:-1]
    sums: dict[int, float] = {}
    for row in rows:
        number, bits, _ = row.split("\t")
        sums[int(number)] = sums.get(int(number), 0.0) + float(bits)
    lines = score(tiny_run, text)
    assert list(sums) == list(range(1, len(lines) + 1))
    for line, total in zip(lines, sums.values(), strict=True):
        assert total == pytest.approx(line["bits"], abs=1e-4 * line["tokens"])


def test_chinese_character_costs_tens_of_bits(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "line"
    path.write_text("李\n", "utf-8")
    (line,) = score(tiny_run, path, "--per-token")
    spelled = line["token_bits"][:-1]
    assert len(spelled) == 4  # the marker and three bytes
    assert 24 <= sum(bits for _, bits in spelled) <= 60


def test_windows_cover_the_text_once(tiny_run: Path, text: Path) -> None:
    whole = evaluate(tiny_run, text)
    assert evaluate(tiny_run, text, "--window", "1000000") == pytest.approx(whole, rel=1e-12)
    short = evaluate(tiny_run, text, "--window", "5")
    assert short["nats_per_token"] != whole["nats_per_token"]
    for key in ("tokens", "characters", "bytes", "words"):
        assert short[key] == whole[key]


def test_window_of_one_is_a_model_of_pairs(tiny_run: Path, tmp_path: Path) -> None:
    """Each target from the empty state with the true token before it: what the decoder that
    writes text expects after that token alone, among the tokens that may stand there."""
    content = "the ward"
    path = tmp_path / "text"
    path.write_text(content)
    model = charlm.load(tiny_run)
    decoder, tokenizer = model.decoder("fp32"), model.tokenizer
    legal = tokenizer.grammar.legal[0]
    nats, before = 0.0, tokenizer.boundary_id
    for token in tokenizer.encode(content).tolist():
        logits = decoder.logits(decoder.advance([before], decoder.empty_state(1)))
        p = np.exp(logits[0].astype(np.float64))
        nats -= math.log(p[token] / p[legal].sum())
        before = token
    found = evaluate(tiny_run, path, "--window", "1")
    assert found["tokens"] == len(content)
    assert found["nats_per_token"] * found["tokens"] == pytest.approx(nats, rel=1e-4)


def test_own_part_is_the_test_part(tiny_run: Path, tiny_text: Path, tmp_path: Path) -> None:
    content = tiny_text.read_text("utf-8")
    path = tmp_path / "tail"
    path.write_text(content[len(content) * 9 // 10 :], "utf-8")
    own = evaluate(tiny_run)
    # A document of its own in both cases.
    assert own["characters"] == len(content) - len(content) * 9 // 10
    assert own["nats_per_token"] == pytest.approx(
        evaluate(tiny_run, path)["nats_per_token"], rel=1e-5
    )
    summary = json.loads(call("info", tiny_run, "--json").out)["summary"]
    assert own == pytest.approx(summary["test"])


def test_own_part_that_is_gone(tiny_run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_run, tmp_path / "run", symlinks=True)
    shutil.rmtree(tmp_path / "run/cache")
    assert call("evaluate", tmp_path / "run").code == 3
    assert call("generate", tmp_path / "run").code == 0


def test_table_for_people_has_the_same_figures(tiny_run: Path, text: Path) -> None:
    rows = dict(line.split("\t") for line in call("evaluate", tiny_run, text).out.splitlines())
    for key, value in evaluate(tiny_run, text).items():
        assert float(rows[key]) == pytest.approx(value, rel=1e-5)


def test_adapting_figures_stand_beside_the_static_ones(tiny_run: Path, text: Path) -> None:
    static = evaluate(tiny_run, text)
    found = evaluate(tiny_run, text, "--dynamic", "--cache")
    assert list(found) == [*KEYS.split(), "dynamic", "cache"]
    assert {key: found[key] for key in static} == static
    for way in ("dynamic", "cache"):
        assert list(found[way]) == KEYS.split()
        for key in ("tokens", "characters", "bytes", "words"):
            assert found[way][key] == static[key]
        alone = evaluate(tiny_run, text, f"--{way}")
        assert alone == {**static, way: found[way]}
    # The same words in other orders, again and again: there is something to learn. A cache costs
    # its share of each probability at most.
    change = {
        w: found[w]["nats_per_token"] - static["nats_per_token"] for w in ("dynamic", "cache")
    }
    assert change["dynamic"] < 0 and 0 < abs(change["cache"]) < -math.log(1 - 0.1)
    done = call("evaluate", tiny_run, text, "--dynamic", "--cache")
    rows = dict(line.split("\t") for line in done.out.splitlines())
    for way in ("dynamic", "cache"):
        for key, value in found[way].items():
            assert float(rows[f"{way}.{key}"]) == pytest.approx(value, rel=1e-5)
    assert len(rows) == 3 * len(static)
    assert "Dynamic evaluation: " in done.err and "Neural cache: " in done.err


def test_usual_gradients_are_the_training_texts_where_it_is_there(
    tiny_run: Path, text: Path, tmp_path: Path
) -> None:
    exported = tmp_path / "model"
    assert call("export", tiny_run, exported).code == 0
    there, gone = (call("evaluate", run, text, "--dynamic") for run in (tiny_run, exported))
    assert there.code == gone.code == 0
    assert there.out.splitlines()[:10] == gone.out.splitlines()[:10]
    assert there.out != gone.out
    assert "training text is not there" in gone.err
    assert "training text is not there" not in there.err
    plain = [call("evaluate", run, text, "--dynamic", "--dynamic-rule", "sgd")
             for run in (tiny_run, exported)]  # fmt: skip
    assert plain[0].out == plain[1].out
    assert not any("training text" in done.err for done in plain)


def test_a_damaged_text_is_not_taken_for_one_that_is_gone(
    tiny_run: Path, text: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, symlinks=True)
    ids = bytearray((run / "cache" / "train.ids").read_bytes())
    ids[7] ^= 1
    (run / "cache" / "train.ids").write_bytes(ids)
    for verb, *arguments in (["evaluate", text], ["score", text], ["generate", "the"]):
        refused = call(verb, run, *arguments, "--dynamic")
        assert refused.code == 4 and "train.ids" in refused.err, verb
    shutil.rmtree(run / "cache")
    assert "training text is not there" in call("evaluate", run, text, "--dynamic").err


def test_adapted_bits_stand_beside_the_static_ones(tiny_run: Path, text: Path) -> None:
    """In each form of the output; a line's text stays the last column."""
    static, found = score(tiny_run, text), score(tiny_run, text, "--dynamic", "--cache")
    ways = ("dynamic", "cache")
    for plain, line in zip(static, found, strict=True):
        assert {key: line[key] for key in plain} == plain and set(line) == {*plain, *ways}
        for way in ways:
            assert set(line[way]) == {"bits", "bits_per_character"}
    # The same words again and again: lines after others are cheaper to who has learned from those.
    bits = {way: sum(line[way]["bits"] for line in found) for way in ways}
    assert bits["dynamic"] < sum(line["bits"] for line in found) != bits["cache"]
    for way in ways:
        alone = score(tiny_run, text, f"--{way}")
        assert [line[way] for line in alone] == [line[way] for line in found]
    done = call("score", tiny_run, text, "--dynamic", "--cache")
    assert "their order matters" in done.err
    for row, line in zip(done.out.split("\n"), found, strict=False):
        bits, _, _, dynamic, cache, shown = row.split("\t", 5)
        assert shown == line["line"] and float(bits) == pytest.approx(line["bits"], abs=1e-4)
        assert float(dynamic) == pytest.approx(line["dynamic"]["bits"], abs=1e-4)
        assert float(cache) == pytest.approx(line["cache"]["bits"], abs=1e-4)
    tokens = call("score", tiny_run, text, "--cache", "--per-token").out.split("\n")[:-1]
    sums = [0.0] * len(found)
    for number, _, cache, _ in (token.split("\t") for token in tokens):
        sums[int(number) - 1] += float(cache)
    assert sums == pytest.approx([line["cache"]["bits"] for line in found], abs=1e-2)


def test_settings_are_chosen_on_another_text_than_the_one_measured(
    tiny_run: Path, text: Path, tmp_path: Path
) -> None:
    done = call("evaluate", tiny_run, text, "--cache", "--tune", "--temperature", "auto", "--json")
    assert done.code == 0 and done.err.count("of the run's own valid text") == 2
    found = json.loads(done.out)
    chosen = found["cache"].pop("settings")
    given = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    assert set(chosen) == {"cache_theta", "cache_weight"}
    assert evaluate(tiny_run, text, "--cache", *given)["cache"] == found["cache"]
    temperature = found["temperature"].pop("settings")["temperature"]
    assert list(found["temperature"]) == KEYS.split()
    again = evaluate(tiny_run, text, "--temperature", str(temperature))["temperature"]
    assert again == found["temperature"] | {"settings": {"temperature": temperature}}
    model = charlm.load(tiny_run)
    blocks = own_text(model.stored, model.tokenizer, "forward", "valid")
    assert blocks is not None
    (tmp_path / "valid.txt").write_bytes("".join(blocks).encode())
    for option in (["--cache", "--tune"], ["--temperature", "auto"]):
        own = call("evaluate", tiny_run, tmp_path / "valid.txt", *option)
        assert own.code == 0 and "of the run's own training text" in own.err
    exported = tmp_path / "model"
    assert call("export", tiny_run, exported).code == 0
    refused = call("evaluate", exported, text, "--cache", "--tune")
    assert refused.code == 3 and "on which to choose" in refused.err


def test_counts_of_the_training_text_stand_beside_the_static_figures(
    tiny_run: Path, text: Path, tmp_path: Path
) -> None:
    static = evaluate(tiny_run, text)
    found = evaluate(tiny_run, text, "--counts", "--cache", "--dynamic")
    assert list(found) == [*KEYS.split(), "counts", "dynamic", "cache"]
    assert {key: found[key] for key in static} == pytest.approx(static)
    # The same words in other orders, after sixty steps: there is much that counts know better.
    assert found["counts"]["nats_per_token"] < 0.95 * static["nats_per_token"]
    for way in ("dynamic", "cache"):
        assert list(found[way]) == [*KEYS.split(), "counts"]
        assert found[way]["counts"]["nats_per_token"] < found[way]["nats_per_token"]
    assert evaluate(tiny_run, text, "--counts") == {**static, "counts": found["counts"]}
    done = call("evaluate", tiny_run, text, "--counts", "--cache")
    rows = dict(line.split("\t") for line in done.out.splitlines())
    for key, value in found["cache"]["counts"].items():
        assert float(rows[f"cache.counts.{key}"]) == pytest.approx(value, rel=1e-5)
    assert "Counting n-grams of up to 12 of " in done.err
    tempered = evaluate(tiny_run, text, "--counts", "--temperature", "1.5")["temperature"]
    assert list(tempered) == [*KEYS.split(), "counts", "settings"]
    assert tempered["counts"]["nats_per_token"] < tempered["nats_per_token"]
    lines = score(tiny_run, text, "--counts", "--carry-state")
    bits = sum(line["counts"]["bits"] for line in lines)
    nats = found["counts"]["nats_per_token"] * found["tokens"]
    assert bits == pytest.approx(nats / math.log(2), rel=1e-5)
    assert "their order matters" not in call("score", tiny_run, text, "--counts").err


def test_what_adapts_to_lines_has_counts_beside_it_too(tiny_run: Path, text: Path) -> None:
    """In each form of the output, and in sum what `evaluate` finds: of dynamic evaluation about
    that, as its segments end where a line does."""
    ways = ("dynamic", "cache")
    options = [*(f"--{way}" for way in ways), "--counts", "--carry-state"]
    found = score(tiny_run, text, *options)
    whole = evaluate(tiny_run, text, "--dynamic", "--cache", "--counts")
    for way in ways:
        bits = sum(line[way]["counts"]["bits"] for line in found)
        nats = whole[way]["counts"]["nats_per_token"] * whole["tokens"]
        exact = {"dynamic": 1e-3, "cache": 1e-5}[way]
        assert bits == pytest.approx(nats / math.log(2), rel=exact)
    done = call("score", tiny_run, text, *options)
    for row, line in zip(done.out.split("\n"), found, strict=False):
        bits, _, _, *beside, shown = row.split("\t", 8)
        told = [each for way in ways for each in (line[way], line[way]["counts"])]
        told = [each["bits"] for each in (*told, line["counts"])]
        assert shown == line["line"] and [*map(float, beside)] == pytest.approx(told, abs=1e-4)


def test_counts_need_the_texts_of_the_run(tiny_run: Path, text: Path, tmp_path: Path) -> None:
    exported = tmp_path / "model"
    assert call("export", tiny_run, exported).code == 0
    for verb, *arguments in (["evaluate", text], ["score", text], ["generate", "the"]):
        refused = call(verb, exported, *arguments, "--counts")
        assert refused.code == 3 and "train text, to count, cannot be used" in refused.err
        assert "it was exported" in refused.err and "Name the run itself." in refused.err
    options = [*QUICK, "--valid-fraction", "0", "--steps", "2"]
    assert call("train", text, "--out", tmp_path / "run", *options).code == 0
    refused = call("evaluate", tmp_path / "run", text, "--counts")
    assert refused.code == 3 and "no valid text on which to choose" in refused.err
    (tmp_path / "run" / "cache" / "train.ids").write_bytes(b"x")
    refused = call("score", tmp_path / "run", text, "--counts")
    assert refused.code == 3 and "train.ids" in refused.err
    assert "put back a copy of the run" in refused.err


@pytest.mark.parametrize("fraction", ["0.1", "0"])
def test_what_is_proposed_after_training_runs(text: Path, tmp_path: Path, fraction: str) -> None:
    options = [*QUICK, "--valid-fraction", fraction, "--steps", "2"]
    done = call("train", text, "--out", tmp_path / "run", *options)
    proposed = done.err.split("Next:\n")[1].splitlines()
    assert [line.split()[1] for line in proposed] == ["generate", "evaluate", "score"]
    for line in proposed:
        _, *words = shlex.split(line)
        again = call(*(str(text) if word == "FILE" else word for word in words))
        assert again.code == 0 and again.out, line
    assert ("--counts" in proposed[1]) == (fraction != "0")


def test_temperature_holds_for_windows(tiny_run: Path, text: Path) -> None:
    plain = evaluate(tiny_run, text, "--window", "7")
    found = evaluate(tiny_run, text, "--window", "7", "--temperature", "1")
    beside = found.pop("temperature")
    assert beside.pop("settings") == {"temperature": 1.0}
    assert found == plain == beside
    warmer = evaluate(tiny_run, text, "--window", "7", "--temperature", "3")["temperature"]
    assert warmer["nats_per_token"] != plain["nats_per_token"]


def test_files_are_documents_of_their_own(
    tiny_run: Path, tmp_path: Path, words: Callable[[int, int], str]
) -> None:
    """The state goes back to empty at each: the nats of two files are the sum of theirs."""
    parts = []
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(words(ord(name[0]), 4), "utf-8")
        parts.append(evaluate(tiny_run, tmp_path / name))
    together = evaluate(tiny_run, tmp_path)
    assert together["tokens"] == sum(part["tokens"] for part in parts)
    assert together["nats_per_token"] * together["tokens"] == pytest.approx(
        sum(part["nats_per_token"] * part["tokens"] for part in parts), rel=1e-5
    )


def test_backward_model_cannot_carry_its_state(tiny_text: Path, text: Path, tmp_path: Path) -> None:
    """Lines by themselves are scored as ever: the same tokens, in reading order."""
    run = tmp_path / "run"
    assert call("train", tiny_text, "--out", run, *QUICK, "--direction", "backward").code == 0
    refused = call("score", run, text, "--carry-state")
    assert refused.code == 2 and refused.out == ""
    assert "--carry-state" in refused.err and "from its end" in refused.err
    content = text.read_bytes().decode("utf-8")
    assert [line["line"] for line in score(run, text)] == content.split("\n")
    last = score(run, text, "--per-token")[-1]
    assert "".join(token for token, _ in last["token_bits"]) == "the end"
    assert evaluate(run, text)["characters"] == len(content)


Seen = tuple[int, str, frozenset[str]]
Relation = Callable[[Seen, Seen], bool]


def results_differ(a: Seen, b: Seen) -> bool:
    return a[0] == b[0] == 0 and a[1] != b[1]


SHARED: list[tuple[str, list[str], list[str], Relation]] = [
    ("--precision", [], ["--precision", "bf16"], results_differ),
    ("--device", [], ["--device", "cuda"],
     lambda a, b: b[0] == 0 if CUDA else (a[0], b[0]) == (0, 2)),
    ("--kernel", ["--kernel", "fused"], ["--kernel", "reference"],
     lambda a, b: "fused" in a[2] and "reference" in b[2] and "fused" not in b[2]),
    ("--threads", ["--threads", "1"], ["--threads", "2"],
     lambda a, b: "threads 1" in a[2] and "threads 2" in b[2]),
    ("--errors", ["INVALID"], ["INVALID", "--errors", "replace"],
     lambda a, b: (a[0], b[0]) == (3, 0)),
]  # fmt: skip
ADAPTING: list[tuple[str, list[str], list[str], Relation]] = [
    ("--dynamic", [], ["--dynamic"], results_differ),
    *((option, ["--dynamic"], ["--dynamic", option, value], results_differ)
      for option, value in (("--dynamic-rule", "sgd"), ("--dynamic-lr", "0.01"),
                            ("--dynamic-decay", "0.1"), ("--dynamic-segment", "7"))),
    ("--cache", [], ["--cache"], results_differ),
    *((option, ["--cache"], ["--cache", option, value], results_differ)
      for option, value in (("--cache-size", "100"), ("--cache-theta", "0.5"),
                            ("--cache-weight", "0.2"))),
    ("--counts", [], ["--counts"], results_differ),
    ("--counts-order", ["--counts"], ["--counts", "--counts-order", "2"], results_differ),
]  # fmt: skip
ROWS = {
    "evaluate": [
        *SHARED,
        *ADAPTING,
        ("--temperature", [], ["--temperature", "1.1"], results_differ),
        ("--tune", ["--cache"], ["--cache", "--tune"], results_differ),
        ("--window", [], ["--window", "7"], results_differ),
        ("--windows", ["--window", "7"], ["--window", "7", "--windows", "3"], results_differ),
        ("--seed", ["--window", "7", "--windows", "3"],
         ["--window", "7", "--windows", "3", "--seed", "2"], results_differ),
        ("--encoding", [], ["--encoding", "latin-1"], results_differ),
    ],
    "score": [
        *SHARED,
        *ADAPTING,
        ("--per-token", [], ["--per-token"], results_differ),
        ("--carry-state", [], ["--carry-state"], results_differ),
        ("--encoding", [], ["--encoding", "latin-1"], results_differ),
    ],
}  # fmt: skip
CASES = [(verb, row) for verb, rows in ROWS.items() for row in rows]


@pytest.mark.parametrize("verb", ROWS)
def test_every_option_has_a_row(verb: str) -> None:
    assert names(verb) - COMMON == {row[0] for row in ROWS[verb]}


@pytest.mark.parametrize(("verb", "row"), CASES, ids=[f"{verb} {row[0]}" for verb, row in CASES])
def test_option_changes_something(
    verb: str,
    row: Any,
    tiny_run: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "invalid").write_bytes(b"the \xff ward\n")
    noted: set[str] = set()
    fused, plain = sequence.run, reference.run

    def note(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any) -> Any:
            noted.add(name)
            return function(*arguments)

        return noting

    monkeypatch.setattr(sequence, "run", note("fused", fused))
    monkeypatch.setattr(reference, "run", note("reference", plain))
    monkeypatch.setattr(torch, "set_num_threads", lambda count: noted.add(f"threads {count}"))

    def seen(options: list[str]) -> Seen:
        noted.clear()
        source: Path = text
        if options[:1] == ["INVALID"]:
            source, options = tmp_path / "invalid", options[1:]
        done = call(verb, tiny_run, source, *options)
        if not any(name.startswith("threads") for name in noted):
            noted.add("threads 0")  # left as they are
        return done.code, done.out, frozenset(noted)

    _, base, other, relation = row
    found = seen(base), seen(other)
    assert relation(*found), found


def test_replaced_bytes_are_counted(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "invalid").write_bytes(b"\xff the \xff ward\n")
    for verb in ("evaluate", "score"):
        done = call(verb, tiny_run, tmp_path / "invalid", "--errors", "replace")
        assert "2 invalid byte sequences" in done.err
    (line,) = score(tiny_run, tmp_path / "invalid", "--errors", "replace")
    assert line["line"] == "\ufffd the \ufffd ward"
