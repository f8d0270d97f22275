"""`charlm generate`: prompts, samples, stops, and every option shown to change the text."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.evaluation import device
from contract.command import Finished, call, charlm
from contract.test_options import COMMON, names

SEPARATOR = "---"
PROMPT = "the ward the ward the ward the ward the "


def text(run: Path, *arguments: str | Path) -> str:
    done = call("generate", run, *arguments)
    assert done.code == 0, done.err
    return done.out


def objects(run: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(run, *arguments, "--json").split("\n")[:-1]]


def out(done: Finished) -> str:
    assert done.code == 0
    return done.out


# option, what is given to begin with, what makes the difference, what must then be true
ROWS: list[tuple[str, list[str], list[str], Callable[[str, str], bool]]] = [
    ("--length", ["--length", "10"], ["--length", "25"],
     lambda a, b: len(b) > len(a) and b.startswith(a)),
    # A spelled é is three tokens and one character.
    ("--length-unit", ["caf", "--length", "60", "--seed", "3"],
     ["caf", "--length", "60", "--seed", "3", "--length-unit", "characters"],
     lambda a, b: len(b) == 63 and len(a) <= 63),
    ("--num-samples", [], ["--num-samples", "2"],
     lambda a, b: b.startswith(a) and f"\n{SEPARATOR}\n" in b[len(a) - 1 :]),
    ("--temperature", [], ["--temperature", "0.1"], lambda a, b: a != b),
    ("--top-k", [], ["--top-k", "1"], lambda a, b: a != b),
    ("--top-p", [], ["--top-p", "0.2"], lambda a, b: a != b),
    ("--min-p", [], ["--min-p", "0.5"], lambda a, b: a != b),
    ("--typical-p", [], ["--typical-p", "0.3"], lambda a, b: a != b),
    ("--repetition-penalty", [], ["--repetition-penalty", "3"], lambda a, b: a != b),
    ("--greedy", [], ["--greedy"], lambda a, b: a != b),
    ("--beam", ["--greedy"], ["--beam", "8"], lambda a, b: a != b),
    ("--stop", [], ["--stop", " "], lambda a, b: a.split(" ")[0] == b),
    ("--seed", [], ["--seed", "2"], lambda a, b: a != b),
    ("--precision", ["--json"], ["--json", "--precision", "fp32"], lambda a, b: a != b),
    ("--dynamic", [PROMPT], [PROMPT, "--dynamic"], lambda a, b: a != b),
    *((option, [PROMPT, "--dynamic", "--dynamic-lr", "0.03"],
       [PROMPT, "--dynamic", "--dynamic-lr", "0.03", option, value], lambda a, b: a != b)
      for option, value in (("--dynamic-rule", "sgd"), ("--dynamic-decay", "0.9"),
                            ("--dynamic-segment", "3"))),
    ("--dynamic-lr", [PROMPT, "--dynamic"], [PROMPT, "--dynamic", "--dynamic-lr", "0.1"],
     lambda a, b: a != b),
    ("--cache", [PROMPT, "--json"], [PROMPT, "--json", "--cache"], lambda a, b: a != b),
    *((option, [PROMPT, "--json", "--cache"], [PROMPT, "--json", "--cache", option, value],
       lambda a, b: a != b)
      for option, value in (("--cache-size", "3"), ("--cache-theta", "9"),
                            ("--cache-weight", "0.9"))),
    ("--counts", [PROMPT, "--json"], [PROMPT, "--json", "--counts"], lambda a, b: a != b),
    ("--counts-order", [PROMPT, "--json", "--counts"],
     [PROMPT, "--json", "--counts", "--counts-order", "2"], lambda a, b: a != b),
    ("--no-echo", ["the "], ["the ", "--no-echo"], lambda a, b: a == "the " + b),
]  # fmt: skip
ELSEWHERE = {"--prompts", "--no-greedy", "--encoding", "--errors"}  # shown below


def test_every_option_has_a_row() -> None:
    assert names("generate") - COMMON == {row[0] for row in ROWS} | ELSEWHERE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_option_changes_something(row: Any, tiny_run: Path) -> None:
    _, base, other, relation = row
    seen = text(tiny_run, *base), text(tiny_run, *other)
    assert relation(*seen), seen


def test_a_model_learns_from_its_own_prompt_alone(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text(f"{PROMPT}\nquiet lamp quiet lamp quiet \n{PROMPT}\n")
    how = ["--dynamic", "--dynamic-lr", "0.05", "--length", "30"]
    first, second, third = objects(tiny_run, "--prompts", tmp_path / "prompts", *how)
    assert first == third == objects(tiny_run, PROMPT, *how)[0]
    assert second == objects(tiny_run, "quiet lamp quiet lamp quiet ", *how)[0]
    greedy = ["--greedy", "--length", "30", "--no-echo"]
    learned = text(tiny_run, PROMPT, *greedy, "--dynamic", "--dynamic-lr", "0.05")
    assert learned.count("the") > text(tiny_run, PROMPT, *greedy).count("the")


def test_counts_write_what_the_training_text_has(tiny_run: Path, tiny_text: Path) -> None:
    """Words of it, where sixty steps have taught few; whatever stands beside."""
    known = set(tiny_text.read_text("utf-8").split())

    def share(*options: str) -> float:
        wrote = text(tiny_run, "the ", "--length", "300", "--no-echo", *options).split()[:-1]
        return sum(word in known for word in wrote) / len(wrote)

    assert share("--counts") > 0.5 > share()
    for more in (["--beam", "3"], ["--dynamic"], ["--cache"], ["--precision", "fp32"]):
        assert share("--counts", *more) > 0.5, more
    how = ["--counts", "--length", "40"]
    one, two = (objects(tiny_run, "the ", "--num-samples", n, *how) for n in ("1", "2"))
    assert two[:1] == one and two[0]["text"] != two[1]["text"]


def test_what_is_written_with_counts_is_not_up_to_a_clock(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many threads are fastest is tried by the clock, and moves the last digits of weights."""
    monkeypatch.setattr(device, "fastest_threads", lambda most: pytest.fail("tried by the clock"))
    assert text(tiny_run, "the ", "--length", "5", "--counts")


def test_a_cache_brings_back_what_the_prompt_had(tiny_run: Path) -> None:
    how = ["--length", "60", "--no-echo", "--precision", "fp32"]
    cached = text(tiny_run, PROMPT, *how, "--cache", "--cache-weight", "0.95", "--cache-theta", "9")
    assert cached.count("ward") > text(tiny_run, PROMPT, *how).count("ward")
    one, two = (objects(tiny_run, PROMPT, "--cache", "--num-samples", n, *how) for n in ("1", "2"))
    assert two[:1] == one


def test_greedy_and_its_other_names(tiny_run: Path) -> None:
    greedy = text(tiny_run, "--greedy")
    assert text(tiny_run, "--temperature", "0") == greedy
    assert text(tiny_run, "--beam", "1") == greedy
    assert text(tiny_run, "--min-p", "1") == greedy
    assert text(tiny_run, "--top-k", "1") == greedy
    assert text(tiny_run, "--top-p", "0") == greedy
    assert text(tiny_run, "--no-greedy") == text(tiny_run) != greedy
    # A penalty changes what is the most probable.
    penalised = text(tiny_run, "--greedy", "--repetition-penalty", "3")
    assert text(tiny_run, "--temperature", "0", "--repetition-penalty", "3") == penalised != greedy


def test_filters_that_let_everything_through(tiny_run: Path) -> None:
    usual = text(tiny_run)
    for words in (
        ["--top-k", "100000"], ["--top-p", "1"], ["--min-p", "0"], ["--typical-p", "1"],
        ["--repetition-penalty", "1"], ["--top-k", "none"], ["--beam", "none"], ["--seed", "1"],
    ):  # fmt: skip
        assert text(tiny_run, *words) == usual


def test_sample_is_the_same_however_many_there_are(tiny_run: Path) -> None:
    few = objects(tiny_run, "the ", "--num-samples", "2", "--length", "20")
    many = objects(tiny_run, "the ", "--num-samples", "5", "--length", "20")
    assert many[:2] == few
    assert len({sample["text"] for sample in many}) == 5
    alone = charlm("generate", tiny_run, "the ", "--length", "20")
    assert out(alone) == many[0]["text"]


def test_separators_stand_on_lines_of_their_own(tiny_run: Path) -> None:
    samples = [s["text"] for s in objects(tiny_run, "--num-samples", "3", "--length", "15")]
    expected = samples[0]
    for sample in samples[1:]:
        expected += ("" if expected.endswith("\n") else "\n") + f"{SEPARATOR}\n" + sample
    assert text(tiny_run, "--num-samples", "3", "--length", "15") == expected


def test_separator_after_a_sample_that_ends_its_line(tiny_run: Path) -> None:
    found = text(tiny_run, "the\n", "--length", "0", "--num-samples", "2")
    assert found == f"the\n{SEPARATOR}\nthe\n"
    assert text(tiny_run, "the", "--length", "0", "--num-samples", "2") == "the\n---\nthe"


def test_prompts_from_a_file_and_from_stdin(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_bytes(b"the \n\nward\r\npain")
    found = objects(tiny_run, "--prompts", file, "--length", "4")
    assert [sample["prompt"] for sample in found] == ["the ", "", "ward", "pain"]
    piped = charlm(
        "generate", tiny_run, "--prompts", "-", "--length", "4", "--json", stdin=file.read_bytes()
    )
    assert [json.loads(line) for line in out(piped).splitlines()] == found
    assert found[3] == objects(tiny_run, "pain", "--length", "4")[0]


def test_prompts_give_so_many_samples_each(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_text("a\nb\n")
    found = objects(tiny_run, "--prompts", file, "--length", "4", "--num-samples", "2")
    assert [sample["prompt"] for sample in found] == ["a", "a", "b", "b"]


def test_prompts_in_another_encoding(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts"
    file.write_bytes("café\n李\n".encode("utf-16"))
    found = objects(tiny_run, "--prompts", file, "--encoding", "utf-16", "--length", "0")
    assert [sample["prompt"] for sample in found] == ["café", "李"]
    how = {"stdin": b"caf\xe9\n"}
    piped = charlm("generate", tiny_run, "-", "--encoding", "latin-1", "--length", "0", **how)
    assert out(piped) == "café"


def test_prompts_that_are_not_text(tiny_run: Path, tmp_path: Path) -> None:
    """What the refusal suggests can be done."""
    file = tmp_path / "prompts"
    file.write_bytes(b"caf\xe9\n")
    for arguments in (["--prompts", file], ["-"]):
        stdin = file.read_bytes()
        refused = charlm("generate", tiny_run, *arguments, stdin=stdin)
        assert refused.code == 3 and "Use --encoding cp1252, or --errors replace" in refused.err
        arguments += ["--length", "0"]
        for way, prompt in (("--encoding=cp1252", "café"), ("--errors=replace", "caf\ufffd")):
            assert out(charlm("generate", tiny_run, *arguments, way, stdin=stdin)) == prompt


@pytest.mark.parametrize(
    ("piped", "prompt"),
    [
        (b"the", "the"),
        (b"the\n", "the"),
        (b"the\n\n", "the\n"),
        (b"a\nb\n", "a\nb"),
        (b"the\r\n", "the"),
        (b"the\r", "the\r"),
        (b"", ""),
    ],
)
def test_prompt_from_stdin_loses_one_line_break(piped: bytes, prompt: str, tiny_run: Path) -> None:
    done = charlm("generate", tiny_run, "-", "--length", "6", stdin=piped)
    assert out(done) == text(tiny_run, prompt, "--length", "6")
    assert out(done).startswith(prompt)


def test_json_keys_and_values(tiny_run: Path) -> None:
    (found,) = objects(tiny_run, "the ", "--length", "12")
    assert list(found) == ["prompt", "text", "tokens", "nats_per_token", "finish"]
    assert found["prompt"] == "the " and found["finish"] == "length"
    assert found["tokens"] == 12 and found["nats_per_token"] > 0
    assert found["text"] == text(tiny_run, "the ", "--length", "12")
    (short,) = objects(tiny_run, "the ", "--length", "12", "--no-echo")
    assert short == found | {"text": found["text"].removeprefix("the ")}
    (none,) = objects(tiny_run, "the ", "--length", "0")
    assert none == {
        "prompt": "the ", "text": "the ", "tokens": 0, "nats_per_token": None, "finish": "length"
    }  # fmt: skip


def test_nats_are_those_that_score_charges(tiny_run: Path, tmp_path: Path) -> None:
    """Of the text without line breaks, whose tokens `score` charges one by one.

    The prompt is the empty line: what `score` reads before a line is the boundary token."""
    args = ("--length", "30", "--stop", "\n", "--seed", "4", "--precision", "fp32")
    (sample,) = objects(tiny_run, *args)
    line = tmp_path / "line"
    # The stop text itself was drawn too, and is counted.
    line.write_text(sample["text"] + ("\n" if sample["finish"] == "stop" else ""), "utf-8")
    scored = json.loads(out(call("score", tiny_run, line, "--json")))
    assert scored["tokens"] == sample["tokens"]
    bits = sample["nats_per_token"] * sample["tokens"] / math.log(2)
    assert scored["bits"] == pytest.approx(bits, rel=1e-4)


def test_nats_of_a_beam_are_those_that_score_charges(tiny_run: Path, tmp_path: Path) -> None:
    """And each text is better than the one after it, and the first better than greed finds."""
    args = ("--length", "24", "--stop", "\n", "--precision", "fp32")
    samples = objects(tiny_run, *args, "--beam", "6", "--num-samples", "4")
    (greedy,) = objects(tiny_run, *args, "--greedy")
    nats = [sample["nats_per_token"] for sample in samples]
    assert len(nats) == 4 and nats == sorted(nats) and nats[0] <= greedy["nats_per_token"]
    ends = ["\n" if sample["finish"] == "stop" else "" for sample in samples]
    for sample, end in zip(samples, ends, strict=True):
        line = tmp_path / "line"
        line.write_text(sample["text"] + end, "utf-8")
        scored = json.loads(out(call("score", tiny_run, line, "--json")))
        assert scored["tokens"] == sample["tokens"]
        bits = sample["nats_per_token"] * sample["tokens"] / math.log(2)
        assert scored["bits"] == pytest.approx(bits, rel=1e-4)


def test_samples_of_a_beam_are_texts_like_others(tiny_run: Path) -> None:
    args = ("the ", "--beam", "3", "--num-samples", "3", "--length", "12")
    samples = [sample["text"] for sample in objects(tiny_run, *args)]
    assert len(set(samples)) == 3 and all(sample.startswith("the ") for sample in samples)
    assert text(tiny_run, *args) == f"\n{SEPARATOR}\n".join(samples).replace("\n\n", "\n")
    assert text(tiny_run, *args) == text(tiny_run, *args)


@pytest.mark.parametrize("stops", [[" "], ["e"], ["\n", " "], ["the", "and"], ["ZZZ"]])
def test_stop_texts(stops: list[str], tiny_run: Path) -> None:
    full = text(tiny_run, "--length", "80", "--length-unit", "characters")
    words = [word for stop in stops for word in ("--stop", stop)]
    (found,) = objects(tiny_run, "--length", "80", "--length-unit", "characters", *words)
    places = [full.find(stop) + len(stop) for stop in stops if stop in full]
    if not places:
        assert (found["text"], found["finish"]) == (full, "length")
        return
    first = min(places)
    ended = next(stop for stop in stops if full[:first].endswith(stop))
    assert (found["text"], found["finish"]) == (full[: first - len(ended)], "stop")


def test_unseen_characters_in_a_prompt(tiny_run: Path) -> None:
    prompt = "李白 \U0001f600 \x00"[:-1]
    assert text(tiny_run, prompt, "--length", "5").startswith(prompt)


def test_exported_file_writes_the_same(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.charlm"
    assert call("export", tiny_run, file).code == 0
    assert text(file, "the ") == text(tiny_run, "the ")
    assert b"optimizer" not in file.read_bytes()


def test_moved_run_writes_the_same(tiny_run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_run, tmp_path / "moved", symlinks=True)
    assert text(tmp_path / "moved", "the ") == text(tiny_run, "the ")
