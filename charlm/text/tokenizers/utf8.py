"""Legal UTF-8 as an automaton over bytes (The Unicode Standard 15.0, Table 3-7).

A state says what may follow. Between characters: an ASCII byte or a lead byte. Inside
one: how many continuation bytes are missing, and whether the next has a narrower range
than 80-BF, which keeps out over-long forms (E0, F0), surrogates (ED) and what lies
above U+10FFFF (F4).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

BETWEEN: Final = 0
_ONE, _TWO, _TWO_AFTER_E0, _TWO_AFTER_ED = 1, 2, 3, 4
_THREE, _THREE_AFTER_F0, _THREE_AFTER_F4 = 5, 6, 7
STATES: Final = 8

# (state, first byte, last byte, state after it)
_TRANSITIONS: Final = (
    (BETWEEN, 0x00, 0x7F, BETWEEN),
    (BETWEEN, 0xC2, 0xDF, _ONE),
    (BETWEEN, 0xE0, 0xE0, _TWO_AFTER_E0),
    (BETWEEN, 0xE1, 0xEC, _TWO),
    (BETWEEN, 0xED, 0xED, _TWO_AFTER_ED),
    (BETWEEN, 0xEE, 0xEF, _TWO),
    (BETWEEN, 0xF0, 0xF0, _THREE_AFTER_F0),
    (BETWEEN, 0xF1, 0xF3, _THREE),
    (BETWEEN, 0xF4, 0xF4, _THREE_AFTER_F4),
    (_ONE, 0x80, 0xBF, BETWEEN),
    (_TWO, 0x80, 0xBF, _ONE),
    (_TWO_AFTER_E0, 0xA0, 0xBF, _ONE),
    (_TWO_AFTER_ED, 0x80, 0x9F, _ONE),
    (_THREE, 0x80, 0xBF, _TWO),
    (_THREE_AFTER_F0, 0x90, 0xBF, _TWO),
    (_THREE_AFTER_F4, 0x80, 0x8F, _TWO),
)


def automaton() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Next state and legality of each byte in each state, both (STATES, 256).

    An illegal byte leads to BETWEEN; a tokenizer that lets it start anew says so itself.
    """
    after = np.full((STATES, 256), BETWEEN, np.uint8)
    legal = np.zeros((STATES, 256), np.bool_)
    for state, first, last, target in _TRANSITIONS:
        after[state, first : last + 1] = target
        legal[state, first : last + 1] = True
    return after, legal


def utf8_length(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """How many bytes UTF-8 needs for each code point: 1 to 4."""
    return 1 + np.searchsorted(np.array([0x80, 0x800, 0x10000]), codes, side="right")


def utf8_bytes(
    codes: npt.NDArray[np.uint32],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """The UTF-8 form of N code points: (N, 4) bytes, zero beyond each one's length, and lengths.

    A form of n bytes holds 6 bits in each of its last n - 1 bytes and the rest, below the
    lead's mark (00, C0, E0, F0), in its first.
    """
    lengths = utf8_length(codes)
    marks = np.array([0x00, 0xC0, 0xE0, 0xF0], np.uint32)
    spelled = np.zeros((len(codes), 4), np.uint8)
    spelled[:, 0] = marks[lengths - 1] | (codes >> (6 * (lengths - 1)).astype(np.uint32))
    for place in range(1, 4):
        has = lengths > place
        shift = (6 * (lengths[has] - 1 - place)).astype(np.uint32)
        spelled[has, place] = 0x80 | ((codes[has] >> shift) & 0x3F)
    return spelled, lengths


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of `text`, read-only; UnicodeEncodeError for a lone surrogate."""
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4")).astype(np.uint32, copy=False)


def uniform(legal: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Rows that spread one unit of probability evenly over what is legal; shape as `legal`."""
    weights: npt.NDArray[np.float64] = legal / legal.sum(axis=-1, keepdims=True)
    return weights
