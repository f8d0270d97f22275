"""The ids of word tokens that are no words, and which token may follow which."""

from typing import Final

import numpy as np

from charlm.text.tokenizers import utf8
from charlm.text.tokenizers.base import FREE_FLOOR_MASS, SPELLING_FLOOR_MASS, Grammar

EOS: Final = 0
# Where unseen words are spelled; the words come after the 256 byte symbols:
MARKER: Final = 1
END: Final = 2
JOIN: Final = 3
FIRST_BYTE: Final = 4
# Where they are lost; the words come after it:
UNKNOWN: Final = 1

_AFTER_MARKER: Final = utf8.STATES  # a character must begin
_BETWEEN: Final = utf8.STATES + 1  # of a spelled item: a character may begin, or the item end


def losing(vocabulary_size: int) -> Grammar:
    """Anything may follow anything; <unk> is never drawn."""
    shape = (1, vocabulary_size)
    floor = np.zeros(shape)
    floor[0, [EOS, UNKNOWN]] = 0.5
    return Grammar(
        next_state=np.zeros(shape, np.uint8),
        legal=np.ones(shape, np.bool_),
        floor_mass=np.array([FREE_FLOOR_MASS]),
        floor=floor,
        never_drawn=(UNKNOWN,),
    )


def spelling(vocabulary_size: int) -> Grammar:
    """A spelled item is legal UTF-8, of one character at least and without a line break."""
    after, legal_bytes = utf8.automaton()
    after[after == utf8.BETWEEN] = _BETWEEN
    legal_bytes[utf8.BETWEEN, ord("\n")] = False
    symbols, inside = slice(FIRST_BYTE, FIRST_BYTE + 256), slice(1, utf8.STATES)
    beginning = [_AFTER_MARKER, _BETWEEN]
    shape = (utf8.STATES + 2, vocabulary_size)
    legal = np.zeros(shape, np.bool_)
    legal[0] = True
    legal[0, END] = legal[0, symbols] = False
    legal[inside, symbols] = legal_bytes[1:]
    legal[beginning, symbols] = legal_bytes[utf8.BETWEEN]
    legal[_BETWEEN, END] = True
    next_state = np.zeros(shape, np.uint8)
    next_state[:, MARKER] = _AFTER_MARKER
    # A byte that may not go on with a character begins one, wherever it stands: so the state
    # after all but continuation bytes is known without what was before.
    next_state[:, symbols] = after[utf8.BETWEEN]
    next_state[inside, symbols] = np.where(legal_bytes[1:], after[1:], after[utf8.BETWEEN])
    floor_mass = np.full(len(legal), SPELLING_FLOOR_MASS)
    floor_mass[0] = FREE_FLOOR_MASS
    floor = utf8.uniform(legal)
    # Between items the model knows its own words; only what leads out of them needs a floor,
    # and what a text may never show.
    floor[0] = 0.0
    floor[0, [MARKER, JOIN, EOS]] = 0.5, 0.25, 0.25
    floor[_BETWEEN] /= 2
    floor[_BETWEEN, END] += 0.5
    return Grammar(next_state=next_state, legal=legal, floor_mass=floor_mass, floor=floor)
