"""The audit sounds the alarm on a model that learned its text by heart, and not on one that did
not; what it is compared with is the text that was held out."""

import json
import random
from dataclasses import replace

import pytest
from contract.command import call

import charlm
from charlm import api
from charlm.audit_settings import AuditSettings
from charlm.errors import DataError, UsageError
from charlm.evaluation.copies import pieces_of

QUICK = AuditSettings(samples=8, length=400, canary_draws=300)
COMMON = {"threads": 1, "precision": "fp32", "device": "cpu", "layers": 1, "embedding_size": 24,
          "lr": 0.01, "eval_every": 10**6}  # fmt: skip


def text(lines, seed):
    """Sentences of eight words drawn from 300: nobody can guess more than a word of them."""
    draw = random.Random(3)
    parts = [c + v for c in "bdfgklmnprst" for v in "aeiou"]
    words = ["".join(draw.choices(parts, k=draw.choice([1, 2, 2, 3]))) for _ in range(300)]
    draw = random.Random(seed)
    return "".join(" ".join(draw.choices(words, k=8)) + ".\n" for _ in range(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs with canaries: of a little text seen 100 times, and of much seen once."""
    folder = tmp_path_factory.mktemp("audit")
    for name, lines in (("little", 20), ("much", 3000), ("new", 400)):
        (folder / f"{name}.txt").write_text(text(lines, len(name)))
    new = str(folder / "new.txt")
    charlm.train(
        [folder / "little.txt"], folder / "by heart", steps=450, hidden_size=96, batch_size=4,
        bptt=64, dropout=0, valid=new, canaries=5, **COMMON,
    )  # fmt: skip
    charlm.train(
        [folder / "much.txt"], folder / "well", steps=120, hidden_size=32, batch_size=16,
        bptt=48, valid=new, canaries=20, **COMMON,
    )  # fmt: skip
    return folder


def test_a_model_that_learned_its_text_by_heart_is_found_out(folder):
    found = api.audit(folder / "by heart", [folder / "little.txt"], settings=QUICK)
    assert found.alarm and found.copies and found.longest_copy > 40
    assert found.decisive.held_out <= 0.05 < 0.1 < found.decisive.generated
    canaries = found.canaries
    assert canaries.remembered and canaries.canaries == 5
    assert canaries.mean > 0.9 * canaries.limit and min(canaries.fitted) > 10
    assert sum("ALARM" in line for line in found.verdict) == 2


def test_another_text_than_its_own_gives_no_quiet_answer(folder, tmp_path):
    own = api.audit(folder / "by heart", [folder / "little.txt"], settings=QUICK)
    assert own.own_text is True and not any("CAREFUL" in line for line in own.verdict)
    other = api.audit(folder / "by heart", [folder / "much.txt"], settings=QUICK)
    assert other.own_text is False and other.verdict[0].startswith("CAREFUL")
    file = tmp_path / "it.charlm"
    api.export(folder / "by heart", file)
    held_out = [folder / "new.txt"]
    found = api.audit(file, [folder / "much.txt"], held_out, settings=QUICK)
    assert found.own_text is None and "CAREFUL" not in found.verdict[0]


def test_a_model_that_did_not_is_not_accused(folder):
    found = api.audit(folder / "well", [folder / "much.txt"], settings=QUICK)
    assert not found.alarm and found.longest_copy < 40
    assert found.canaries.canaries == 20 and found.canaries.mean < 3
    assert not any("ALARM" in line for line in found.verdict)


def test_what_is_held_out_decides(folder):
    """Where it repeats the training text as much, the model is not to blame, nor found quiet."""
    same, said = [folder / "little.txt"], []
    about = folder / "by heart", same, same, QUICK
    found = api.audit(*about, say=said.append)
    assert not found.copies and not found.new_text and found.decisive.held_out > 0.5
    assert "CAREFUL: the text that was held out is hardly new" in found.verdict[1]
    assert not any("no more than new text" in line for line in found.verdict)
    assert any("training text already" in message for message in said)


def test_an_alarm_is_told_even_where_new_text_has_set_phrases(folder):
    """More of it than usual stands in the training text, and of what the model writes much more."""
    found = api.audit(folder / "by heart", [folder / "little.txt"], settings=QUICK)
    phrases = replace(found, decisive=replace(found.decisive, held_out=0.08))
    assert phrases.copies and not phrases.new_text
    assert any("ALARM: the model repeats" in line for line in phrases.verdict)


def test_texts_in_another_encoding_than_the_runs(folder, tmp_path):
    odd = tmp_path / "odd.txt"
    odd.write_bytes((folder / "new.txt").read_bytes() + "é".encode("latin-1") * 400)
    how = [folder / "by heart", "--corpus", folder / "little.txt", "--held-out", odd]
    how += ["--samples", 3, "--length", 300, "--canary-draws", 100]
    assert call("audit", *how).code == 3
    assert call("audit", *how, "--encoding", "latin-1").code == 0
    assert call("audit", *how, "--errors", "replace").code == 0
    assert "no-such" in call("audit", *how, "--encoding", "no-such").err


def test_no_more_of_a_long_text_is_read_than_is_needed():
    read = []

    def blocks():
        for number in range(100):
            read.append(number)
            yield "x" * 500

    pieces = list(pieces_of(lambda: iter([blocks()]), length=250, most=8))
    assert len(pieces) == 8 and all(len(piece) == 250 for piece in pieces)
    assert len(read) == 4


def test_an_exported_model_needs_a_text_that_was_held_out(folder):
    file = folder / "model.charlm"
    api.export(folder / "by heart", file)
    little = [folder / "little.txt"]
    with pytest.raises(DataError, match="held out"):
        api.audit(file, little, settings=QUICK)
    found = api.audit(file, little, [folder / "new.txt"], QUICK)
    assert found.copies and found.canaries is None
    with pytest.raises(DataError, match="fewer than"):
        api.audit(file, little, held_out=[folder / "little.txt"],
                  settings=AuditSettings(length=100_000))  # fmt: skip


def test_the_command(folder):
    arguments = ["audit", folder / "by heart", "--corpus", folder / "little.txt"]
    small = ["--samples", 3, "--length", 300, "--canary-draws", 100]
    ended = call(*arguments, *small, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["alarm"] is True and len(found["shares"]) == 6 and found["characters"] == 900
    assert found["canaries"]["canaries"] == 5 and len(found["canaries"]["sampled"]) == 5
    shown = call(*arguments, *small)
    assert shown.out.splitlines() == found["verdict"]
    assert "200 characters" in shown.err
    for option, value in (("--seed", 2), ("--temperature", 0.5), ("--samples", 4),
                          ("--length", 350), ("--canary-draws", 120),
                          ("--held-out", folder / "little.txt"),
                          ("--corpus", folder / "much.txt")):  # fmt: skip
        other = json.loads(call(*arguments, *small, option, value, "--json").out)
        assert other != found, option
    assert call("audit", folder / "by heart").code == 2
    assert call(*arguments, "--samples", 1).code == 2
    with pytest.raises(UsageError):
        AuditSettings(length=10)
