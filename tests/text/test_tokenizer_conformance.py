"""What every tokenizer in the registry must do, whatever it is."""

import functools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, RunError
from charlm.registry import TOKENIZERS
from charlm.text.tokenizers.base import (
    Tokenizer,
    TokenizerSettings,
    fit_tokenizer,
    load_tokenizer,
)

TRAINING = (
    "the cat sat on the mat.\r\nÄäÄä ein Satz\n\n中文中文 e\u0301e\u0301 \U0001f600\U0001f600\n"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "the cat\r\n\0ä中\u0301\U0001f600\U0010ffff\ufffd\ufeff<spell>x", max_size=40
)
NASTY = "\ufeff<spell><0xE4>\0\r\n\u2028\u0085\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff\ud7ff"


@functools.cache
def fitted(kind: str) -> Tokenizer:
    return fit_tokenizer(TokenizerSettings(kind=kind), [TRAINING[:30], TRAINING[30:]])


every_kind = pytest.mark.parametrize("kind", list(TOKENIZERS))


@every_kind
@settings(max_examples=80, deadline=None)
@given(text=TEXTS)
@example(text=NASTY)
@example(text="")
def test_encoding_loses_nothing_and_every_way_back_agrees(kind: str, text: str) -> None:
    tokenizer = fitted(kind)
    ids = tokenizer.encode(text)
    assert ids.dtype == tokenizer.dtype
    assert ids.flags.writeable
    assert tokenizer.decode(ids) == text
    stream = tokenizer.stream()
    assert "".join([*(stream.feed(token) for token in ids.tolist()), stream.finish()]) == text


@every_kind
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stream_gives_what_decode_gives_for_any_ids(kind: str, data: st.DataObject) -> None:
    tokenizer = fitted(kind)
    token = st.integers(0, tokenizer.vocabulary_size - 1)
    ids = data.draw(st.lists(token, max_size=12))
    stream = tokenizer.stream()
    pieces = [*(stream.feed(token) for token in ids), stream.finish()]
    assert "".join(pieces) == tokenizer.decode(np.array(ids, tokenizer.dtype))


@every_kind
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
@example(text=NASTY)
def test_encoded_text_is_legal_and_ends_between_characters(kind: str, text: str) -> None:
    tokenizer = fitted(kind)
    ids = tokenizer.encode(text)[:, None]
    before, final = tokenizer.grammar.run(np.zeros(1, np.uint8), ids)
    assert tokenizer.grammar.legal[before, ids].all()
    assert final.tolist() == [0]


@every_kind
def test_a_grammar_is_a_grammar(kind: str) -> None:
    tokenizer = fitted(kind)
    grammar = tokenizer.grammar
    states = len(grammar.floor_mass)
    assert grammar.legal.shape == grammar.floor.shape == (states, tokenizer.vocabulary_size)
    assert grammar.next_state.shape == grammar.legal.shape
    assert grammar.next_state.dtype == np.uint8 and grammar.next_state.max() < states
    assert grammar.legal.any(axis=1).all()
    assert grammar.legal[0, tokenizer.boundary_id]
    np.testing.assert_allclose(grammar.floor.sum(axis=1), 1, rtol=1e-12)
    assert not grammar.floor[~grammar.legal].any()
    assert (grammar.floor[1:] > 0).sum() == grammar.legal[1:].sum()
    assert grammar.floor_mass.tolist() == [2.0**-16] + [2.0**-4] * (states - 1)
    from_start = np.broadcast_to(grammar.next_state[0], grammar.legal.shape)
    assert np.array_equal(grammar.next_state[~grammar.legal], from_start[~grammar.legal])


@every_kind
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_running_streams_together_or_in_pieces_is_the_same(kind: str, data: st.DataObject) -> None:
    tokenizer = fitted(kind)
    grammar = tokenizer.grammar
    token = st.integers(0, tokenizer.vocabulary_size - 1)
    ids = np.array(data.draw(st.lists(st.tuples(token, token, token), min_size=1, max_size=12)))
    cut = data.draw(st.integers(0, len(ids)))
    start = np.array(data.draw(st.tuples(*[st.integers(0, len(grammar.legal) - 1)] * 3)))
    before, final = grammar.run(start, ids)
    expected = np.empty_like(ids)
    for stream in range(3):
        state = int(start[stream])
        for time, read in enumerate(ids[:, stream]):
            expected[time, stream] = state
            state = int(grammar.next_state[state, read])
        assert final[stream] == state
    assert np.array_equal(before, expected)
    first, middle = grammar.run(start, ids[:cut])
    second, end = grammar.run(middle, ids[cut:])
    assert np.array_equal(np.concatenate([first, second]), before)
    assert np.array_equal(end, final)


@every_kind
def test_an_unseen_chinese_character_costs_at_most_some_48_bits_by_the_floor(kind: str) -> None:
    tokenizer = fitted(kind)
    grammar = tokenizer.grammar
    for character in "龘鿿一":
        ids = tokenizer.encode(character)
        before, _ = grammar.run(np.zeros(1, np.uint8), ids[:, None])
        floors = grammar.floor_mass[before[:, 0]] * grammar.floor[before[:, 0], ids]
        assert 24 < -np.log2(floors).sum() < 49


@every_kind
@settings(max_examples=40, deadline=None)
@given(text=TEXTS, cut=st.integers(0, 40))
def test_line_by_line_is_the_same_as_at_once(kind: str, text: str, cut: int) -> None:
    tokenizer = fitted(kind)
    lines = text.split("\n")
    parts = [tokenizer.encode(line + "\n") for line in lines[:-1]]
    parts.append(tokenizer.encode(lines[-1]))
    assert np.array_equal(np.concatenate(parts), tokenizer.encode(text))
    assert sum(int((part == tokenizer.boundary_id).sum()) for part in parts) == text.count("\n")


@every_kind
def test_the_boundary_is_the_line_break(kind: str) -> None:
    tokenizer = fitted(kind)
    assert tokenizer.encode("\n").tolist() == [tokenizer.boundary_id]
    assert tokenizer.token_text(tokenizer.boundary_id) == "\n"


@every_kind
def test_what_is_stored_comes_back(kind: str) -> None:
    tokenizer = fitted(kind)
    loaded = load_tokenizer(tokenizer.to_files())
    assert type(loaded) is type(tokenizer) and loaded.kind == kind
    assert loaded.to_files() == tokenizer.to_files()
    assert np.array_equal(loaded.encode(NASTY), tokenizer.encode(NASTY))


@every_kind
def test_damaged_files_are_refused(kind: str) -> None:
    stored = fitted(kind).to_files()
    name = "tokenizer.json"
    content = stored[name]
    bad = {
        "no file": {},
        "one more": {**stored, "other.json": b"{}"},
        "cut": {**stored, name: content[: len(content) // 2]},
        "not UTF-8": {**stored, name: b"\xff" + content},
        "unknown field": {**stored, name: content.replace(b"{", b'{"x": 1,', 1)},
        "twice": {**stored, name: content.replace(b"{", f'{{"kind": "{kind}",'.encode(), 1)},
        "deep": {**stored, name: b"[" * 100_000 + b"]" * 100_000},
        "NaN": {**stored, name: content.replace(b'"format": 1', b'"format": NaN')},
        "kind": {**stored, name: content.replace(f'"{kind}"'.encode(), b'"none"')},
    }
    for what, files in bad.items():
        with pytest.raises(RunError):
            load_tokenizer(files)
            pytest.fail(what)
    newer = content.replace(b'"format": 1', b'"format": 7')
    with pytest.raises(RunError, match="format 7"):
        load_tokenizer({**stored, name: newer})


@every_kind
def test_a_lone_surrogate_is_named(kind: str) -> None:
    with pytest.raises(DataError, match=r"U\+DC80, at character 3"):
        fitted(kind).encode("ab中\udc80")


@every_kind
@pytest.mark.parametrize("outside", [-1, 1 << 20])
def test_ids_outside_the_vocabulary_are_refused(kind: str, outside: int) -> None:
    with pytest.raises(ValueError, match="token ids"):
        fitted(kind).decode([0, outside])
