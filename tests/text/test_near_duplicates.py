"""Near-duplicates against the definition, pair by pair."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text import near_duplicates
from charlm.text.near_duplicates import groups_of_near_duplicates

WORDS = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.lists(st.lists(WORDS, max_size=14).map(" ".join), max_size=12)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split() or [text.strip()]
    length = min(5, len(words))
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def by_pairs(texts: list[str]) -> list[int]:
    """Groups by comparing all pairs until nothing changes."""
    groups = list(range(len(texts)))
    sets = [shingles(text) for text in texts]
    for _ in texts:
        for one in range(len(texts)):
            for other in range(one):
                a, b = sets[one], sets[other]
                if 5 * len(a & b) >= 4 * len(a | b):
                    low, high = sorted((groups[one], groups[other]))
                    groups = [low if group == high else group for group in groups]
    return groups


@settings(max_examples=250, deadline=None)
@given(TEXTS)
def test_groups_are_those_of_the_definition(texts: list[str]) -> None:
    assert groups_of_near_duplicates(texts) == by_pairs(texts)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), least=st.integers(20, 60))
def test_long_texts_with_edits(seed: int, least: int) -> None:
    """Copies with a word or two changed lie around the threshold."""
    draw = random.Random(seed)
    known = [f"w{number}" for number in range(30)]
    texts = [" ".join(draw.choices(known, k=draw.randint(least, least + 20))) for _ in range(4)]
    for text in texts[:]:
        for changes in (1, 1, 2, 3):
            words = text.split()
            for place in draw.sample(range(len(words)), changes):
                words[place] = draw.choice(known)
            texts.append(" ".join(words[draw.randint(0, 3) :]))
    draw.shuffle(texts)
    assert groups_of_near_duplicates(texts) == by_pairs(texts)


def test_the_threshold_itself_is_near_enough() -> None:
    """9 and 9 shingles with 8 in common, of 10: exactly 4/5; one word more makes it less."""
    middle = "b c d e f g h i j k l m"
    assert groups_of_near_duplicates([f"a {middle}", f"{middle} n"]) == [0, 0]
    shorter = "b c d e f g h i j k l"
    assert groups_of_near_duplicates([f"a {shorter}", f"{shorter} n"]) == [0, 1]


def test_case_punctuation_and_spaces_do_not_count() -> None:
    texts = ["Good movie!", "good\n movie", "good film", "...", "...", "?", "Good movie"]
    assert groups_of_near_duplicates(texts) == [0, 0, 2, 3, 3, 5, 0]


def test_without_spaces_a_character_is_a_word() -> None:
    poem = "春眠不覺曉處處聞啼鳥夜來風雨聲花落知多少床前明月光"
    assert groups_of_near_duplicates([poem, poem + "疑", "疑" + poem[9:]]) == [0, 0, 2]


def test_groups_are_chains() -> None:
    words = [f"w{number}" for number in range(60)]
    chain = [" ".join(words[start : start + 50]) for start in (0, 4, 8)]
    assert groups_of_near_duplicates([chain[0], chain[2]]) == [0, 1]
    assert groups_of_near_duplicates(chain) == [0, 0, 0]


def test_data_written_from_one_form_is_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work grows with the number of texts, not with its square."""
    compared = 0
    real = near_duplicates._enough

    def counted(shared: int, of: int) -> bool:
        nonlocal compared
        compared += 1
        return real(shared, of)

    monkeypatch.setattr(near_duplicates, "_enough", counted)
    form = " ".join(f"w{number}" for number in range(14))
    count = 1500
    texts = [f"{number} {form} {number}" for number in range(count)]  # J = 10 / 14 to each other
    groups_of_near_duplicates(texts)
    assert compared <= count * near_duplicates.MOST_COMPARED * 6
    texts = [f"{form} {form[:20]} {number}" for number in range(count)]
    assert set(groups_of_near_duplicates(texts)) == {0}
