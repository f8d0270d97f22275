"""Words of a text, distances between spellings, and what an unknown word may have been."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.text import respelling, spelling_errors
from charlm.text.respelling import Respelling
from charlm.text.tokenizers.utf8 import code_points
from charlm.text.tokenizers.word_split import Splitting
from charlm.text.word_list import LONGEST_WORD, Place, WordList, words_in

SPLITTING = Splitting("unicode")
WORDS = st.text("abcé", min_size=1, max_size=7)


def osa(a, b):
    """Optimal string alignment by its definition."""

    @cache
    def d(i, j):
        if not i or not j:
            return i + j
        ways = [d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (a[i - 1] != b[j - 1])]
        if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
            ways.append(d(i - 2, j - 2) + 1)
        return min(ways)

    return d(len(a), len(b))


def codes_of(words):
    codes = np.zeros((len(words), max(map(len, words)) + 1), np.uint32)
    for row, word in enumerate(words):
        codes[row, : len(word)] = code_points(word)
    return codes, np.array([len(word) for word in words])


@given(WORDS, st.lists(WORDS, min_size=1, max_size=6))
def test_distances_are_those_of_the_definition(word, others):
    found = spelling_errors.distances(code_points(word), *codes_of(others))
    assert found.tolist() == [osa(word, other) for other in others]


@given(WORDS, WORDS)
def test_costs_are_bounded_by_the_dearest_and_the_cheapest_edit(a, b):
    distance, cost = osa(a, b), spelling_errors.cost(a, b)
    assert distance * spelling_errors._APOSTROPHE <= cost
    assert cost <= distance * (spelling_errors._EDIT + spelling_errors._FIRST)
    assert spelling_errors.cost(a, a) == 0


@pytest.mark.parametrize(
    ("likely", "unlikely", "word"),
    [
        ("acomodate", "acxomodate", "accomodate"),  # a letter that should be doubled
        ("seperate", "seqarate", "separate"),  # a vowel for another
        ("recieve", "reccive", "receive"),  # neighbours
        ("womdn", "bomen", "women"),  # not the first letter
        ("dont", "do'", "don't"),
    ],
)
def test_what_people_do_is_cheaper(likely, unlikely, word):
    assert spelling_errors.cost(likely, word) < spelling_errors.cost(unlikely, word)


@given(WORDS, st.sets(WORDS, min_size=1, max_size=12))
def test_candidates_are_all_words_within_two_edits(word, others):
    words = WordList(Counter(dict.fromkeys(others - {word}, 3)))
    found = Respelling(words).candidates(Place(0, word))
    near = {other for other in others if 0 < osa(word, other) <= 2}
    assert {c.text for c in found if " " not in c.text} == near
    splits = {
        f"{word[:n]} {word[n:]}"
        for n in range(1, len(word))
        if word[:n] in words and word[n:] in words
    }
    assert {c.text for c in found if " " in c.text} == splits


def test_the_nearest_are_kept_where_there_are_many(monkeypatch):
    monkeypatch.setattr(respelling, "_FEW", 3)
    counts = Counter({"cat": 1, "bat": 9, "rat": 5, "mat": 7, "rot": 99})
    found = Respelling(WordList(counts)).candidates(Place(0, "xat"))
    assert [c.text for c in found] == ["bat", "mat", "rat"]


def test_words_are_joined_to_both_sides():
    words = WordList(Counter({"together": 4, "they": 5, "to": 5, "gathers": 1}))
    (line,) = [[*words_in("to gether they", SPLITTING)]]
    assert line[1] == Place(3, "gether", "to", "they")
    found = {c.text: c for c in Respelling(words).candidates(line[1])}
    assert (found["together"].before, found["together"].after) == (3, 0)
    place = Place(0, "toge", "", "ther")
    found = {c.text: c for c in Respelling(words).candidates(place)}
    assert (found["together"].before, found["together"].after) == (0, 5)


def test_capitals_are_those_of_the_text_or_of_the_word():
    words = WordList.of(["London london London the The the. NASA it's O’Neill x1 10mg\n"] * 2)
    assert "LONDON" in words and words.count("the") == 6 and "it's" in words
    assert "x1" not in words and "mg" in words
    assert words.written_like("london", "lodnon") == "London"
    assert words.written_like("the", "Teh") == "The"
    assert words.written_like("the", "TEH") == "THE"
    assert words.written_like("nasa", "nsaa") == "NASA"
    assert len(words) == 6


def test_what_touches_a_number_is_no_word():
    assert [place.word for place in words_in("3xat 10mg 4 ab.5 c1d", SPLITTING)] == ["ab"]


@given(st.text("ab' \n.é1-\t", max_size=30))
def test_places_of_words_are_where_they_stand(line):
    for place in words_in(line, SPLITTING):
        end = place.begin + len(place.word)
        assert line[place.begin : end] == place.word and 0 < len(place.word) <= LONGEST_WORD
        if place.following:
            assert line[end:].startswith(" " + place.following)
        if place.preceding:
            assert line[: place.begin].endswith(place.preceding + " ")
