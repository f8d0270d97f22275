"""What is particular to character and byte tokens, and the automaton of legal UTF-8."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import RunError, UsageError
from charlm.text.tokenizers import utf8
from charlm.text.tokenizers.base import (
    TokenizerSettings,
    fit_tokenizer,
    load_tokenizer,
    smallest_dtype,
)
from charlm.text.tokenizers.byte import ByteTokenizer
from charlm.text.tokenizers.char import CharTokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def char(text: str, min_count: int | None = None) -> CharTokenizer:
    found = fit_tokenizer(TokenizerSettings(kind="char", min_count=min_count), [text])
    assert isinstance(found, CharTokenizer)
    return found


def spelled_by_hand(text: str, vocabulary: list[str]) -> list[int]:
    ids: list[int] = []
    for character in text:
        if character in vocabulary:
            ids.append(vocabulary.index(character))
        else:
            ids.append(len(vocabulary))
            ids.extend(len(vocabulary) + 1 + byte for byte in character.encode())
    return ids


@settings(max_examples=100, deadline=None)
@given(training=TEXTS, text=TEXTS, min_count=st.integers(1, 3), cut=st.integers(0, 60))
def test_char_ids_are_those_of_a_plain_loop(
    training: str, text: str, min_count: int, cut: int
) -> None:
    tokenizer = CharTokenizer.fit(
        [training[:cut], training[cut:]], TokenizerSettings(min_count=min_count)
    )
    counts = Counter(training)
    vocabulary = sorted({c for c in counts if counts[c] >= min_count} | {"\n"})
    assert tokenizer.vocabulary_size == len(vocabulary) + 257
    for sample in (text, training, training + text):
        assert tokenizer.encode(sample).tolist() == spelled_by_hand(sample, vocabulary)


def test_a_small_vocabulary_to_the_letter() -> None:
    tokenizer = char("aabbc\ud7ff")
    assert tokenizer.vocabulary_size == 260
    assert tokenizer.boundary_id == 0
    assert tokenizer.dtype == np.uint16
    assert tokenizer.encode("abc\n").tolist() == [1, 2, 3, 4 + 0x63, 0]
    assert tokenizer.encode("Ä").tolist() == [3, 4 + 0xC3, 4 + 0x84]
    shown = [tokenizer.token_text(token) for token in (0, 1, 3, 4, 4 + 0xE4)]
    assert shown == ["\n", "a", "<spell>", "<0x00>", "<0xE4>"]
    assert tokenizer.to_files() == {
        "tokenizer.json": b'{\n "characters": "\\nab",\n "format": 1,\n "kind": "char"\n}\n'
    }


def test_byte_ids_are_the_bytes() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode("aÄ\n").tolist() == [0x61, 0xC3, 0x84, 10]
    assert (tokenizer.dtype, tokenizer.boundary_id) == (np.uint8, 10)
    assert [tokenizer.token_text(token) for token in (0x61, 0x80, 0xE4)] == [
        "a",
        "<0x80>",
        "<0xE4>",
    ]


def test_ids_that_spell_no_character_become_u_fffd() -> None:
    tokenizer = char("aabb")
    marker, first = 3, 4
    assert tokenizer.decode([1, marker, first + 0xE4, 2]) == "a\ufffdb"
    assert tokenizer.decode([first + 0x80, 1]) == "\ufffda"
    assert ByteTokenizer().decode([0xE4, 0xB8, 0x61, 0xC0]) == "\ufffda\ufffd"


def test_a_character_appears_when_its_last_byte_does() -> None:
    tokenizer = char("aabb")
    stream = tokenizer.stream()
    assert [stream.feed(int(token)) for token in tokenizer.encode("a中b")] == [
        *("a", "", "", "", "中", "b")
    ]
    assert stream.finish() == ""
    stream.feed(4 + 0xE4)
    assert stream.finish() == "\ufffd"


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="--min-count 2"):
        fit_tokenizer(TokenizerSettings(kind="byte", min_count=2), [])
    with pytest.raises(UsageError, match="at least 1"):
        fit_tokenizer(TokenizerSettings(kind="char", min_count=0), [])
    with pytest.raises(UsageError, match="'chat'") as caught:
        fit_tokenizer(TokenizerSettings(kind="chat"), [])
    assert "char" in caught.value.hint


@pytest.mark.parametrize(
    ("characters", "complaint"),
    [
        ("ab", "code point order"),
        ("\\nba", "code point order"),
        ("\\n\\n", "code point order"),
        ("", "code point order"),
        ("\\na\\ud800", "lone surrogate"),
    ],
)
def test_characters_out_of_order_or_without_the_line_break_are_refused(
    characters: str, complaint: str
) -> None:
    stored = f'{{"characters": "{characters}", "format": 1, "kind": "char"}}'.encode()
    with pytest.raises(RunError, match=complaint):
        load_tokenizer({"tokenizer.json": stored})


@pytest.mark.parametrize(
    ("size", "name"),
    [(1, "uint8"), (256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")],
)
def test_the_smallest_type_that_holds_the_ids(size: int, name: str) -> None:
    assert smallest_dtype(size).name == name


def decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def accepted(data: bytes, after: np.ndarray, legal: np.ndarray) -> bool:
    state = utf8.BETWEEN
    for byte in data:
        if not legal[state, byte]:
            return False
        state = int(after[state, byte])
    return state == utf8.BETWEEN


def test_the_automaton_accepts_just_what_python_decodes() -> None:
    after, legal = utf8.automaton()
    # All one- and two-byte strings; of three and four bytes those at the borders of the ranges.
    borders = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0]
    borders += [0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    strings = [*product(range(256), repeat=1), *product(range(256), repeat=2)]
    strings += [*product(borders, repeat=3)]
    strings += [*product(borders[13:], borders[:9], [0x7F, 0x80, 0xBF, 0xC0], [0x80, 0xBF, 0xC0])]
    for string in map(bytes, strings):
        assert accepted(string, after, legal) == decodes(string), string


def test_vectorised_utf8_is_pythons() -> None:
    codes = [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]
    codes += range(0x20, 0x110000, 4093)
    codes = [code for code in codes if not 0xD800 <= code < 0xE000]
    symbols, lengths = utf8.utf8_bytes(np.array(codes, np.uint32))
    found = [bytes(row[:length]) for row, length in zip(symbols, lengths, strict=True)]
    assert found == [chr(code).encode() for code in codes]
    assert not symbols[np.arange(4) >= lengths[:, None]].any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 260 - 1), max_size=8))
def test_what_the_char_grammar_allows_from_start_to_end_decodes_to_whole_characters(
    ids: list[int],
) -> None:
    tokenizer = char("aabb")
    grammar = tokenizer.grammar
    column = np.array(ids, np.intp)[:, None]
    before, final = grammar.run(np.zeros(1, np.uint8), column)
    legal = bool(grammar.legal[before, column].all()) and final[0] == 0
    # By hand: characters, or a marker and the bytes of exactly one character.
    place, good = 0, True
    while place < len(ids) and good:
        if ids[place] < 3:
            place += 1
            continue
        sizes = [n for n in range(1, 5) if ids[place] == 3 and place + n < len(ids)]
        spelled = {n: [token - 4 for token in ids[place + 1 : place + 1 + n]] for n in sizes}
        fits = [n for n, s in spelled.items() if min(s) >= 0 and one_character(bytes(s))]
        good = bool(fits)
        place += 1 + sum(fits)
    assert legal == good


def one_character(data: bytes) -> bool:
    return decodes(data) and len(data.decode()) == 1


def test_between_characters_only_the_way_out_has_a_floor() -> None:
    grammar = char("\t\taabb").grammar  # ids: tab, line break, a, b, marker
    assert np.flatnonzero(grammar.floor[0]).tolist() == [1, 4]
    assert not grammar.legal[0, 5:].any()
    assert grammar.next_state[:, 4].tolist() == [8] * 9
