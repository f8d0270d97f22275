"""The picture of a text: nothing lost, nothing dangerous, colours that rise with the bits."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charlm.evaluation.looking import Look, Piece, UnitLook
from charlm.evaluation.unit_activity import Unit
from charlm.report.coloured_text import full_colour, ink_on, rows, signed_colour, surprisal_colour
from charlm.report.look_picture import svg

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
                 min_size=1, max_size=12)  # fmt: skip


def look_of(texts, units=()):
    pieces = [Piece(text, 1.0 + n, ((text, 0.5),)) for n, text in enumerate(texts)]
    values = {"f": np.linspace(0, 1, len(texts)), "c": np.linspace(-3, 3, len(texts))}
    return Look(pieces, [UnitLook(Unit(*unit), "x", 0.5, values) for unit in units], False)


@given(TEXTS, st.integers(1, 20))
def test_lines_hold_every_piece_once_and_are_not_too_wide(texts, width):
    found = list(rows(look_of(texts, [(1, 2)]), width))
    lines = [row for row in found if row.is_text]
    assert sum(len(row.cells) for row in lines) == len(texts)
    for row in lines:
        assert sum(cell.width for cell in row.cells[:-1]) <= width
    under = [row for row in found if not row.is_text]
    assert {row.label for row in under} == {"1:2 f", "1:2 c"}
    assert sum(len(row.cells) for row in under) == 2 * len(texts)


@given(TEXTS)
def test_svg_is_whole_and_holds_no_control_character(texts):
    drawn = svg(look_of(["<b>&", *texts], [(1, 2)]))
    tree = ElementTree.fromstring(drawn)
    boxes = tree.findall(".//{http://www.w3.org/2000/svg}g")
    assert len(boxes) == 3 * (1 + len(texts))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", drawn)
    assert "<b>" not in drawn and "&lt;b&gt;&amp;" in drawn


def test_colours_rise_with_the_bits():
    brightness = [sum(surprisal_colour(share)) for share in np.linspace(0, 1, 9)]
    assert brightness == sorted(brightness, reverse=True)
    assert surprisal_colour(0) == (255, 255, 255) and surprisal_colour(2) == surprisal_colour(1)
    assert ink_on(surprisal_colour(0)) == (0, 0, 0) != ink_on(surprisal_colour(1))
    assert signed_colour(-1) != signed_colour(1) and signed_colour(0) == (255, 255, 255)


def test_the_scale_is_the_texts_own_but_for_texts_that_are_well_known():
    assert full_colour(look_of(["a"] * 2)) == 4.0
    assert full_colour(look_of(["a"] * 101)) == 99.0
