"""Text without labels falls into passages, and nothing of it is lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.text import passages as module
from charlm.text.passages import passages, stretches


def test_blank_lines_part_passages() -> None:
    text = "the heart\nbeats\n\n \t\n a knee\r\n\r\na rash\n"
    wanted = ["the heart\nbeats", "a knee", "a rash", "another"]
    assert list(passages([text, "\n\nanother"])) == wanted
    assert list(passages(["", "\n", " \n\n "])) == []


def test_what_is_too_long_falls_into_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of a line each, one of them empty, are not run together."""
    monkeypatch.setattr(module, "MOST_CHARACTERS", 20)
    text = "the heart beats\na knee swells\n\na red rash\nthe valve leaks\n"
    wanted = ["the heart beats", "a knee swells", "a red rash", "the valve leaks"]
    assert list(passages([text])) == wanted
    assert list(passages(["abcdefghij" * 5 + "\n\nxy"])) == [
        "abcdefghijabcdefghij", "abcdefghijabcdefghij", "abcdefghij", "xy",
    ]  # fmt: skip


@given(st.lists(st.text("ab \n\r\t", max_size=60), max_size=4), st.integers(1, 30))
def test_nothing_but_white_space_is_lost(blocks: list[str], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_CHARACTERS", most)
        found = list(passages(blocks))
    assert all(part == part.strip() != "" and len(part) <= most for part in found)
    assert "".join("".join(found).split()) == "".join("".join(blocks).split())


@given(st.integers(0, 10**9), st.integers(0, 10**7))
def test_stretches_are_all_over_the_text(total: int, most: int) -> None:
    found = stretches(total, most)
    assert all(0 <= begin <= end <= total for begin, end in found)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(found))
    length = sum(end - begin for begin, end in found)
    if total <= most:
        assert found == [(0, total)]
    else:
        assert most - len(found) < length <= most
        gaps = [end - begin for (begin, _), (end, _) in pairwise(found)]
        assert max(gaps) - min(gaps) <= 1
        assert total - found[-1][0] - max(gaps) <= 1  # the last is as far from the end
