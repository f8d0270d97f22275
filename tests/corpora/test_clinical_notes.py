"""The clinical notes: made as stored, exactly one derivation each, probabilities that add up."""

import math
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from clinical_notes.checking import Checker
from clinical_notes.corpus import NOTES, SEPARATOR, grammar, note, notes_of, read_bits
from clinical_notes.derivation import derivations, describe, parse, sample, start
from clinical_notes.figures import figures
from clinical_notes.grammar import Facts, Grammar, Reference
from clinical_notes.notation import read

CORPUS = Path(__file__).resolve().parents[2] / "corpora" / "clinical_notes"
SPLITS = tuple(NOTES)


@pytest.fixture(scope="module")
def rules() -> Grammar:
    return grammar()


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {split: (CORPUS / f"{split}.txt").read_text(encoding="utf-8") for split in SPLITS}


def labels(split: str) -> list[list[str]]:
    lines = (CORPUS / "labels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


def grammar_of(tmp_path: Path, text: str) -> Grammar:
    path = tmp_path / "small.grammar"
    path.write_text(text, encoding="utf-8")
    return read([path])


@pytest.mark.parametrize("split", SPLITS)
def test_stored_notes_are_what_the_generator_makes(
    rules: Grammar, texts: dict[str, str], split: str
) -> None:
    notes, rows = notes_of(texts[split]), labels(split)
    entries = read_bits(CORPUS / "bits" / f"{split}.tsv")
    assert len(notes) == len(entries) == len(rows) == NOTES[split]
    for index in range(0, len(notes), 10):
        made = note(rules, split, index)
        assert made.text == notes[index]
        assert math.isclose(made.bits, entries[index].bits, abs_tol=1e-9)
        assert [*describe(made.facts), made.facts.values["form"]] == rows[index][1:]


@pytest.mark.parametrize("split", SPLITS)
def test_offsets_cut_the_split_into_its_notes(texts: dict[str, str], split: str) -> None:
    entries = read_bits(CORPUS / "bits" / f"{split}.tsv")
    cut = [texts[split][e.offset : e.offset + e.length] for e in entries]
    assert cut == notes_of(texts[split])
    assert "".join(text + SEPARATOR for text in cut) == texts[split]
    assert all("\n\n" not in text and text == text.strip() for text in cut)


def test_every_valid_note_has_one_derivation_of_the_stored_bits(
    rules: Grammar, texts: dict[str, str]
) -> None:
    entries = read_bits(CORPUS / "bits" / "valid.tsv")
    for text, entry, row in zip(notes_of(texts["valid"]), entries, labels("valid"), strict=True):
        found = parse(rules, text)
        assert len(found) == 1
        assert math.isclose(found[0].bits, entry.bits, abs_tol=1e-9)
        assert list(describe(found[0].facts)) == row[1:4]


def test_a_changed_note_has_no_derivation(rules: Grammar, texts: dict[str, str]) -> None:
    text = notes_of(texts["valid"])[0]
    assert parse(rules, text + " ") == []
    assert parse(rules, text[:-1]) == []
    assert parse(rules, text.replace(" ", "  ", 1)) == []


def test_the_hidden_case_cannot_be_confused(rules: Grammar) -> None:
    assert Checker(rules).clashing_verdicts() == []


def test_the_options_of_the_grammar_can_be_told_apart(rules: Grammar) -> None:
    """The rules that are quick to compare; `--prove` compares all."""
    forms = {"clinic", "review", "letter", "discharge", "ed", "ward", "phone_call", "handover"}
    slow = {"series", "signs_full", "results", "overnight", "story", "plan_full", "plan_list"}
    assert Checker(rules).clashes(skip=frozenset(forms | slow)) == []


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("note\n  | a cough\n  | a cough at night\n", "a cough"),
        ("note\n  | <|dry >cough\n  | <|dry >hiccup\n  | cough\n", "cough"),
        ("note\n  | {# 5..12}0 mg\n  | 50 mg\n", "50 mg"),
        ("note\n  | {^x*1-2}.\n  | {^x*2-3}.\nx\n  | a\n", "A a."),
    ],
)
def test_the_checker_finds_what_is_ambiguous(tmp_path: Path, text: str, shared: str) -> None:
    clashes = Checker(grammar_of(tmp_path, text)).clashes()
    assert any(shared in clash or "..." in clash for clash in clashes)


def test_options_that_exclude_each_other_may_look_alike(tmp_path: Path) -> None:
    rules = grammar_of(
        tmp_path, "note\n  sex=m | Mr {x}.\n  sex=f | Ms {x}.\nx\n  ?sex=m | A\n  ?sex=f | AA\n"
    )
    assert Checker(rules).clashes() == []


def test_probabilities_of_all_texts_of_a_small_grammar_add_up_to_one(tmp_path: Path) -> None:
    rules = grammar_of(
        tmp_path,
        "once x\n"
        "note\n  3 k=1 | {x*1-3,and}; {^x}{y}.\n"
        "  k=2 | {a}{x} {#n 41..44} {#m n+1..n+3} {=n+m}{y}.\n"
        "x\n  2 | ant\n  | bee\n  *4?k=1 | cat\n  5 ?k=2 | dog\n  0.5 | emu\n"
        "y\n  ?k=1 |  <yes|no^3>\n  ?k=2 ?n>42 |  much\n  ?k=2 ?n<43 | , little\n",
    )
    found = list(derivations(rules, None))
    assert math.isclose(sum(2**-d.bits for d in found), 1, rel_tol=1e-12)
    assert len({d.text for d in found}) == len(found)
    for each in found[::7]:
        parsed = parse(rules, each.text)
        assert len(parsed) == 1
        assert math.isclose(parsed[0].bits, each.bits, abs_tol=1e-9)


def test_sampled_frequencies_follow_the_stated_probabilities(tmp_path: Path) -> None:
    rules = grammar_of(tmp_path, "note\n  3 | a\n  1 | b{# 1..3}\n")
    rng = random.Random(1)
    seen = Counter(sample(rules, rng).text for _ in range(4000))
    expected = {d.text: 2**-d.bits for d in derivations(rules, None)}
    assert expected == pytest.approx({"a": 3 / 4, "b1": 1 / 16, "b2": 1 / 8, "b3": 1 / 16})
    for text, probability in expected.items():
        deviation = math.sqrt(4000 * probability * (1 - probability))
        assert abs(seen[text] - 4000 * probability) < 4 * deviation


@pytest.mark.parametrize("name", ["degree", "verdict", "hr", "duration", "kin_f", "rhythm"])
@pytest.mark.parametrize("severity", ["1", "2", "3"])
def test_parts_of_the_grammar_add_up_to_one(rules: Grammar, name: str, severity: str) -> None:
    values = {"sev": severity, "dx": "crystal", "dur": "weeks", "tachy": "1", "sex": "f"}
    state = start((Reference(name),), Facts(values, frozenset()))
    total = sum(2**-d.bits for d in derivations(rules, None, state))
    assert math.isclose(total, 1, rel_tol=1e-12)


def test_at_every_decision_of_a_note_the_probabilities_add_up_to_one(rules: Grammar) -> None:
    class Watched(Grammar):
        def weighted(self, item, facts):  # type: ignore[no-untyped-def]
            options = super().weighted(item, facts)
            totals.append(sum(p for p, _ in options))
            return options

    totals: list[float] = []
    watched = Watched(rules.rules)
    for seed in range(20):
        sample(watched, random.Random(seed))
    assert len(totals) > 20 * 100
    assert all(math.isclose(total, 1, rel_tol=1e-12) for total in totals)


def test_no_note_occurs_twice(texts: dict[str, str]) -> None:
    notes = [text for split in SPLITS for text in notes_of(texts[split])]
    assert len(set(notes)) == len(notes) == sum(NOTES.values())


def test_the_specialty_is_never_spelled(texts: dict[str, str]) -> None:
    stems = (
        *("cardiolog", "pulmonolog", "enterolog", "neurolog", "endocrin", "nephrolog"),
        *("rheumatolog", "dermatolog", "psychiat", "orthopaed"),
    )
    for text in texts.values():
        assert not [stem for stem in stems if stem in text.lower()]


def test_specialties_are_spread_evenly() -> None:
    counts = Counter(row[1] for row in labels("train"))
    assert len(counts) == 10
    expected = NOTES["train"] / 10
    assert all(abs(n - expected) < 4 * math.sqrt(expected) for n in counts.values())
    assert len({row[2] for row in labels("train")}) == 40


def test_bits_per_character_of_the_splits_agree() -> None:
    rates = []
    for split in SPLITS:
        entries = read_bits(CORPUS / "bits" / f"{split}.tsv")
        rates.append(sum(e.bits for e in entries) / sum(e.length + 2 for e in entries))
    assert max(rates) - min(rates) < 0.02


def test_figures_of_the_readme_are_those_of_the_corpus(texts: dict[str, str]) -> None:
    files = {f"{split}.txt": text for split, text in texts.items()}
    for split in SPLITS:
        files[f"bits/{split}.tsv"] = (CORPUS / "bits" / f"{split}.tsv").read_text("utf-8")
    readme = (CORPUS / "README.md").read_text("utf-8").splitlines()
    for row in figures(files).splitlines():
        assert row in readme


def test_words_of_another_text_are_counted_as_far_as_it_goes() -> None:
    text = "The cat sat. the Cat ran on.\n" * 300  # 7 words, 5 of them distinct
    notes = "A very long note that has forty characters.\n\n" * 500
    files = {f"{split}.txt": notes for split in SPLITS}
    files |= {f"bits/{split}.tsv": "index\toffset\tlength\tbits\n" for split in SPLITS}
    assert figures(files, {"cats": text}).splitlines()[-2:] == [
        "| these notes | 8 | 8 | 8 |",
        "| cats | 5 |  |  |",
    ]
