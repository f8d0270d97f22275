"""Correcting: gains by their definition, the threshold by its rate, lines in order."""

import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.evaluation.spelling import COMMON, LEFT, RIGHT, TRUST, Corrector, threshold_for
from charlm.text.spelling_errors import SPLIT, cost
from charlm.text.tokenizers.word_split import Splitting
from charlm.text.word_list import WordList, words_in

RIGHT_TEXT = "the cat sat on the mat and the rat ate together with a bat\n" * 3


class Reader:
    """Charges a bit for each character, and less for what it likes; remembers what it read."""

    def __init__(self, likes):
        self.likes, self.read = likes, []

    def score(self, texts):
        for text in texts:
            self.read.append(text)
            bits = len(text) - sum(worth * text.count(part) for part, worth in self.likes.items())
            yield types.SimpleNamespace(bits=bits)


def corrector(*readers, threshold=0.0, most=12):
    return Corrector(readers, WordList.of([RIGHT_TEXT]), most, threshold)


def corrected(by, *lines):
    return [line.text for line in by.lines(lines)]


def test_the_gain_is_its_definition():
    a, b = Reader({"cat s": 60}), Reader({"mat": 6})
    (line,) = corrector(a, b).lines(["the xat sat\n"])
    (unknown,) = line.unknown
    gains = {choice.candidate.text: choice.gain for choice in unknown.choices}
    common = COMMON * np.log(3)
    assert gains["cat"] == pytest.approx(TRUST * np.log(2) * 60 / 2 + common - cost("xat", "cat"))
    assert gains["mat"] == pytest.approx(TRUST * np.log(2) * 6 / 2 + common - cost("xat", "mat"))
    assert gains["rat"] == pytest.approx(common - cost("xat", "rat"))
    assert line.text == "the cat sat\n" and unknown.corrected and line.words == 3
    assert a.read == b.read


def test_what_gains_too_little_stays():
    like = {"cat": 40}
    gain = TRUST * np.log(2) * 40 + COMMON * np.log(3) - cost("xat", "cat")
    assert corrected(corrector(Reader(like), threshold=gain - 0.01), "a xat") == ["a cat"]
    assert corrected(corrector(Reader(like), threshold=gain + 1e-9), "a xat") == ["a xat"]


def test_words_of_the_list_are_left_alone_and_everything_between_them():
    text = "The CAT\tsat -- on 3xat, x the mat  \r\n"
    assert corrected(corrector(Reader({"bat": 99})), text, "") == [text, ""]


def test_splits_and_joins():
    likes = {"the cat": 30, "together": 30}
    by = corrector(Reader(likes))
    assert corrected(by, "thecat sat", "to gether with") == ["the cat sat", "together with"]
    assert corrected(corrector(Reader(likes)), "a toge ther") == ["a together"]
    by = corrector(Reader({"the cat": 1}))
    (line,) = by.lines(["thecat"])
    # One character more, which the reader charges for.
    wanted = TRUST * np.log(2) * (1 - 1) + COMMON * np.log(3) - SPLIT
    assert line.unknown[0].gain == pytest.approx(wanted)


def test_a_word_that_one_correction_took_is_not_corrected_again():
    found = corrected(corrector(Reader({"together": 90, "bat": 40})), "bta toge ther bta")
    assert found == ["bat together bat"]


def test_context_is_whole_words_of_both_sides_and_of_the_lines_before():
    reader = Reader({})
    before = "word " * 30 + "\n"
    list(corrector(reader).lines([before, "xat " + "sat " * 30]))
    text = next(text for text in reader.read if "xat" in text)
    left, right = text.split("xat")
    assert left == "word " * (len(left) // 5) + "\n" and LEFT - 8 < len(left) <= LEFT
    assert right == " sat" * (len(right) // 4) and RIGHT - 5 < len(right) <= RIGHT


def test_lines_at_once_and_one_by_one_come_out_the_same():
    lines = [f"the xat sat {n} toge\nther"[: 30 + n] for n in range(70)]
    likes = {"cat": 30, "together": 30, "sat 3": 5}
    whole = corrected(corrector(Reader(likes)), *lines)
    by = corrector(Reader(likes))
    assert whole == [text for line in lines for text in corrected(by, line)]


@given(st.lists(st.sampled_from([-9.0, -1.0, 0.0, 0.5, 1.0, 2.0])), st.integers(0, 5))
def test_the_threshold_is_the_smallest_that_changes_no_more(gains, allowed):
    found = threshold_for(gains, allowed)
    assert sum(gain > found for gain in gains) <= allowed
    if len(gains) <= allowed:
        assert found == 0
    else:
        assert all(sum(gain > t for gain in gains) > allowed for t in gains if t < found)


def test_calibrating_keeps_the_rate_of_false_alarms_on_what_it_saw():
    names = [f"{a}at sat{b}" for a in "xyzwv" for b in "abcdef"]
    right = [f"{name} on the mat and the cat\n" for name in names]
    for rate in (0.0, 0.01, 0.05, 0.5):
        by = corrector(Reader({"cat": 30, "rat": 4, "xat": 10, "sata": 9}))
        words, unknown = by.calibrate([right], rate)
        assert (words, unknown) == (len(right) * 8, 2 * len(right))
        alarms = sum(one.corrected for line in by.lines(right) for one in line.unknown)
        assert alarms <= rate * words
        if rate == 0.5:
            assert alarms


def test_the_most_likely_candidates_are_read_and_no_more():
    reader = Reader({})
    (line,) = corrector(reader, most=2).lines(["xat"])
    assert len(reader.read) == 3 and len(line.unknown[0].choices) == 2
    assert [place.word for place in words_in("xat", Splitting("unicode"))] == ["xat"]
