"""Text without labels falls into passages, and nothing of it is lost."""

from hypothesis import given
from hypothesis import strategies as st

from charlm.text import passages as module
from charlm.text.passages import passages


def test_blank_lines_part_passages() -> None:
    text = "the heart\nbeats\n\n \t\n a knee\r\n\r\na rash\n"
    assert list(passages([text, "\n\nanother"])) == [
        "the heart\nbeats",
        "a knee",
        "a rash",
        "another",
    ]


def test_without_blank_lines_each_line_is_one() -> None:
    assert list(passages(["the heart\n a knee \na rash\n"])) == ["the heart", "a knee", "a rash"]
    assert list(passages(["", "\n", " \n\n "])) == []


def test_a_long_one_is_cut(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 5)
    assert list(passages(["abcdefghijkl\n\nxy"])) == ["abcde", "fghij", "kl", "xy"]


@given(st.lists(st.text("ab \n\r\t", max_size=30), max_size=4))
def test_nothing_but_white_space_is_lost(documents: list[str]) -> None:
    found = list(passages(documents))
    assert all(part == part.strip() != "" for part in found)
    assert "".join("".join(found).split()) == "".join("".join(documents).split())
