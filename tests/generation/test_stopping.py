"""Stop texts against str.find on the whole text, wherever the pieces are cut."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.generation.stopping import StopHolder

letters = st.text("ab\n", max_size=14)
stop_lists = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)


def pieces_of(text, cuts):
    borders = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(borders)]


def cut_by_find(text, stops):
    """Up to the stop text that ends first; of those ending together, the longest."""
    found = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    return (text[: min(found)[1]], True) if found else (text, False)


@settings(deadline=None, max_examples=400)
@given(letters, stop_lists, st.lists(st.integers(0, 100), max_size=6))
def test_as_find_on_the_whole_text(text, stops, cuts):
    holder = StopHolder(stops)
    out, read = "", ""
    for piece in pieces_of(text, cuts):
        out += holder.feed(piece)
        read += piece
        # Nothing is given out that might yet be part of a stop text, and nothing else is held.
        expected, stopped = cut_by_find(read, stops)
        if not stopped:
            ends = [expected[at:] for at in range(len(expected) + 1)]
            held = next(e for e in ends if not e or any(s.startswith(e) for s in stops))
            expected = expected[: len(expected) - len(held)]
        assert (out, holder.stopped) == (expected, stopped)
    out += holder.finish()
    assert (out, holder.stopped) == cut_by_find(text, stops)


def test_held_text_comes_when_it_can_no_longer_stop():
    holder = StopHolder(["###"])
    assert [holder.feed(piece) for piece in ("a#", "#", "b", "##")] == ["a", "", "##b", ""]
    assert holder.finish() == "##" and holder.finish() == "" and not holder.stopped


def test_nothing_comes_after_the_stop():
    holder = StopHolder(["END", "\n\n"])
    assert holder.feed("x\n") == "x"
    assert holder.feed("\nEND") == "" and holder.stopped
    assert holder.feed("more") == "" and holder.finish() == ""


def test_without_stop_texts_everything_passes_at_once():
    holder = StopHolder([])
    assert holder.feed("abc") == "abc" and holder.finish() == ""
