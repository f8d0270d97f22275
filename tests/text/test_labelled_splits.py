"""Parts of labelled texts: stratified, groups whole, nothing measured on is seen in training."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, UsageError
from charlm.text.labelled import LabelledRow
from charlm.text.labelled_splits import Division, divide


def rows_of(*labelled: tuple[str, str]) -> list[LabelledRow]:
    return [LabelledRow(text, label, number) for number, (text, label) in enumerate(labelled, 2)]


def distinct(counts: Sequence[int], word: str = "w") -> list[LabelledRow]:
    """So many texts of class 0, 1, ..., none like another."""
    return rows_of(
        *(
            (f"{word}{number} {label}", f"c{label:03}")
            for label, count in enumerate(counts)
            for number in range(count)
        )
    )


def split(
    train: Sequence[LabelledRow],
    valid: Sequence[LabelledRow] | None = None,
    test: Sequence[LabelledRow] | None = None,
    *,
    fractions: tuple[str, str] = ("0", "0"),
    seed: int = 1,
) -> tuple[Division, list[str]]:
    said: list[str] = []
    return divide(train, valid, test, *fractions, seed, said.append), said


def texts(rows: Sequence[LabelledRow]) -> list[str]:
    return [row.text for row in rows]


@settings(max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    fractions=st.sampled_from([("0.1", "0"), ("0.25", "0.25"), ("0.2", "0.1"), ("0.45", "0.45")]),
    seed=st.integers(0, 99),
)
def test_every_class_gives_its_fraction(
    counts: list[int], fractions: tuple[str, str], seed: int
) -> None:
    rows = distinct(counts)
    if sum(counts) - len(counts) < 2:
        return
    try:
        division, _ = split(rows, fractions=fractions, seed=seed)
    except DataError as told:
        assert "can be spared" in told.what
        return
    parts = (division.train, division.valid, division.test)
    assert sorted(texts([row for part in parts for row in part])) == sorted(texts(rows))
    assert division.classes == tuple(f"c{label:03}" for label in range(len(counts)))
    for name, fraction in zip(("valid", "test"), fractions, strict=True):
        found = Counter(division.numbers(name))
        for label, count in enumerate(counts):
            wanted = count * float(fraction)
            assert found[label] < wanted + 1
            if count > 4:
                assert found[label] > wanted - 1.001
    assert set(division.numbers("train")) == set(range(len(counts)))


def test_parts_keep_the_order_of_the_file_and_follow_the_seed() -> None:
    rows = distinct([40, 20])
    one, two = (split(rows, fractions=("0.2", "0.1"), seed=seed)[0] for seed in (1, 2))
    assert one == split(rows, fractions=("0.2", "0.1"), seed=1)[0]
    assert texts(one.test) != texts(two.test)
    for part in (one.train, one.valid, one.test):
        assert [row.row for row in part] == sorted(row.row for row in part)


def test_every_text_may_come_into_every_part() -> None:
    rows = distinct([6, 4])
    seen = Counter(
        text
        for seed in range(120)
        for text in texts(split(rows, fractions=("0.2", "0"), seed=seed)[0].valid)
    )
    assert len(seen) == 10
    assert all(8 < count < 45 for count in seen.values())  # 24 expected, deviation 4.4


@settings(max_examples=60, deadline=None)
@given(
    copies=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=12, max_size=40),
    seed=st.integers(0, 99),
)
def test_near_duplicates_stay_together(copies: list[tuple[int, int]], seed: int) -> None:
    rows = distinct([8, 8, 8])
    rows += rows_of(*((f"copied text {text}", f"c{label:03}") for text, label in copies))
    division, said = split(rows, fractions=("0.2", "0.2"), seed=seed)
    parts = [set(texts(part)) for part in (division.train, division.valid, division.test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert sum(map(len, (division.train, division.valid, division.test))) == len(rows)
    totals = Counter(row.label for row in rows)
    for name in ("valid", "test"):
        for number, count in Counter(division.numbers(name)).items():
            assert count < 0.2 * totals[division.classes[number]] + 1
    assert set(division.numbers("train")) == {0, 1, 2}
    counts = Counter(text for text, _ in copies)
    many = [count for count in counts.values() if count > 1]
    assert (
        f"{sum(many)} texts are near-duplicates of others, in {len(many)} groups: each group "
        "stays in one part."
    ) in said


def test_large_groups_come_first_so_that_small_ones_fill_what_is_left() -> None:
    rows = distinct([40, 60])
    rows += rows_of(*((f"copied text {n // 4}", f"c{n // 4 % 2:03}") for n in range(80)))
    for seed in range(10):
        division, _ = split(rows, fractions=("0.1", "0.1"), seed=seed)
        for name in ("valid", "test"):
            assert Counter(division.numbers(name)) == {0: 8, 1: 10}


def test_labels_that_contradict_each_other_are_said() -> None:
    rows = rows_of(("one", "a"), ("One!", "b"), ("two", "a"), ("two", "a"), ("three", "b"))
    said = split(rows)[1]
    assert said == ["2 texts are near-duplicates of one with another label."]


def test_what_leaks_is_left_out_of_the_part_before() -> None:
    train = rows_of(("one", "a"), ("two", "b"), ("Three", "a"), ("four", "b"), ("one", "a"))
    valid = rows_of(("four", "b"), ("five", "a"), ("three", "a"))
    test = rows_of(("three", "a"), ("three", "a"), ("six", "b"))
    division, said = split([*train, *rows_of(("seven", "b"))], valid, test)
    assert texts(division.train) == ["one", "two", "one", "seven"]
    assert texts(division.valid) == ["four", "five"]
    assert division.test == test
    assert said == [
        "2 texts of train left out: near-duplicates of texts in valid or test.",
        "1 texts of valid left out: near-duplicates of texts in test.",
    ]


def test_a_part_of_its_own_and_a_fraction() -> None:
    test = distinct([3, 3], "t")
    division, _ = split(distinct([20, 20]), None, test, fractions=("0.1", "0.5"))
    assert division.test == test and len(division.valid) == 4 and len(division.train) == 36


def test_five_hundred_classes_and_one_more() -> None:
    division, _ = split(distinct([4] * 500), fractions=("0.1", "0.1"))
    assert len(division.valid) == len(division.test) == 200
    assert len(division.classes) == 500
    with pytest.raises(DataError, match=r"1,002 training texts have 501 different labels"):
        split(distinct([2] * 501))


def test_a_class_with_one_text_is_for_training() -> None:
    for seed in range(20):
        division, said = split(distinct([30, 1, 1]), fractions=("0.4", "0.4"), seed=seed)
        assert set(division.numbers("train")) == {0, 1, 2}
        assert said == ["2 of 3 classes have one text only: it is for training."]


def test_what_cannot_be_divided() -> None:
    with pytest.raises(DataError, match=r"have 1 class\(es\); needed: at least 2"):
        split(distinct([5]))
    with pytest.raises(DataError, match="No text of 3 can be spared for valid"):
        split(distinct([1, 1, 1]), fractions=("0.1", "0"))
    with pytest.raises(UsageError, match="leave nothing"):
        split(distinct([5, 5]), fractions=("0.5", "0.5"))
    with pytest.raises(
        DataError, match=r"2 test texts have a label that no .*: row 3, row 4"
    ) as told:
        split(distinct([2, 2]), None, rows_of(("x", "c000"), ("y", "secret"), ("z", "secret")))
    assert "secret" not in str(told.value)
