"""What is kept of a long text while it is written: the text, and nothing else of every token."""

import itertools
import tracemalloc

import pytest

import charlm
from charlm.generation import drawing


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.2}], ids=str)
def test_writing_on_keeps_the_text_alone(options, tiny_run):
    before, after = (5_000, 15_000) if options else (20_000, 120_000)
    pieces = charlm.load(tiny_run).stream(
        "", length=10 * after, length_unit="characters", seed=1, **options
    )
    held, characters = {}, itertools.accumulate(map(len, pieces))
    tracemalloc.start()
    try:
        for count in characters:
            for mark in {before, after} - held.keys():
                if count >= mark:
                    held[mark] = tracemalloc.get_traced_memory()[0]
            if count >= after:
                break
    finally:
        tracemalloc.stop()
    # Up to four bytes a character, and what a buffer has in reserve.
    assert held[after] - held[before] < 5 * after


def test_what_is_forgotten_is_what_no_filter_looks_at(tiny_run, monkeypatch):
    model, how = charlm.load(tiny_run), {"length": 400, "seed": 3, "repetition_penalty": 1.5}
    found = model.generate("the patient ", **how)
    monkeypatch.setattr(drawing, "REPETITION_WINDOW", 10**6)  # nothing is forgotten
    assert model.generate("the patient ", **how) == found
