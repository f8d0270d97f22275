"""Text counts against Python's own, and splits against the definition."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, UsageError
from charlm.text.counts import TextCounter, TextCounts, count_text
from charlm.text.splits import exact_fractions, split_spans

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(list(" \t\n\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u3000\u200bab")),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(documents=st.lists(TEXTS, max_size=4), size=st.integers(1, 7))
def test_counts_are_pythons_whatever_the_blocks(documents: list[str], size: int) -> None:
    counter = TextCounter()
    for document in documents:
        for start in range(0, len(document), size):
            counter.add(document[start : start + size])
        counter.add("")
        counter.end_document()
    whole = "".join(documents)
    expected = TextCounts(
        characters=len(whole),
        bytes=len(whole.encode()),
        words=sum(len(document.split()) for document in documents),
        line_breaks=whole.count("\n"),
    )
    assert counter.counts == expected
    assert count_text(documents) == expected


def test_every_space_of_python_separates_words() -> None:
    spaces = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    assert count_text([f"a{space}b" for space in spaces]).words == 2 * len(spaces)
    others = [chr(code) for code in (0x200B, 0x2060, 0x3001, 0xFEFF, 0x10FFFF)]
    assert count_text([f"a{other}b" for other in others]).words == len(others)


def test_tiny_shakespeare_is_cut_as_published() -> None:
    spans = split_spans(1_115_394, *exact_fractions(0.1, "0"))
    assert {part: stop - start for part, (start, stop) in spans.items()} == {
        "train": 1_003_854,
        "valid": 111_540,
    }


@settings(max_examples=100, deadline=None)
@given(
    characters=st.integers(1, 10**7),
    valid=st.decimals(0, "0.49", places=4),
    test=st.decimals(0, "0.49", places=4),
)
def test_spans_are_exact_and_without_gap(characters: int, valid: object, test: object) -> None:
    v, t = exact_fractions(str(valid), str(test))
    assert (v, t) == (Fraction(str(valid)), Fraction(str(test)))
    try:
        spans = split_spans(characters, v, t)
    except DataError:
        assert characters * (1 - v - t) < 1
        return
    place = 0
    for part in ("train", "valid", "test"):
        if part in spans:
            assert spans[part][0] == place < spans[part][1]
            place = spans[part][1]
    assert place == characters
    assert spans["train"][1] == (characters * (1 - v - t)).__floor__()
    assert spans.get("test", (characters, 0))[0] == (characters * (1 - t)).__floor__()


def test_no_fraction_no_part() -> None:
    assert split_spans(10, Fraction(0), Fraction(0)) == {"train": (0, 10)}
    assert split_spans(10, Fraction(0), Fraction(1, 5)) == {"train": (0, 8), "test": (8, 10)}


@pytest.mark.parametrize("value", ["1", "-0.1", "nan", "inf", "x", "", "1/0", 1.5])
def test_fractions_out_of_range_are_refused(value: str | float) -> None:
    with pytest.raises(UsageError, match=f"--valid-fraction {value} "):
        exact_fractions(value, "0")
    with pytest.raises(UsageError, match=f"--test-fraction {value} "):
        exact_fractions("0", value)


def test_fractions_that_leave_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="leave nothing"):
        exact_fractions("0.5", "0.5")


def test_too_small_a_text_says_what_is_needed() -> None:
    with pytest.raises(DataError, match=r"has 1 character\(s\)") as caught:
        split_spans(1, Fraction(3, 4), Fraction(0))
    assert "4 or more" in caught.value.hint
    assert split_spans(4, Fraction(3, 4), Fraction(0))["train"] == (0, 1)
