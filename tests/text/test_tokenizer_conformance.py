"""What every tokenizer in the registry must do, whatever it is."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, RunError, UsageError
from charlm.registry import TOKENIZER_SETTINGS, TOKENIZERS
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
def fitted(kind: str, lowercase: bool = False) -> Tokenizer:
    settings = TokenizerSettings(kind=kind, lowercase=lowercase)
    return fit_tokenizer(settings, [TRAINING[:30], TRAINING[30:]])


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
@given(text=TEXTS, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_a_text_in_blocks_loses_nothing_wherever_it_is_cut(
    kind: str, text: str, cuts: list[int]
) -> None:
    tokenizer = fitted(kind)
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    blocks = [text[begin:end] for begin, end in itertools.pairwise(places)]
    parts, continues = [tokenizer.encode("")], False
    for block in blocks:
        parts.append(tokenizer.encode(block, continues))
        continues = not block.endswith("\n")
    assert tokenizer.decode(np.concatenate(parts)) == text


@every_kind
@settings(max_examples=60, deadline=None)
@given(prompt=TEXTS, text=TEXTS)
@example(prompt="the ", text="cat")
@example(prompt="the", text=" cat")
def test_what_follows_a_prompt_is_written_as_if_it_had_been_read(
    kind: str, prompt: str, text: str
) -> None:
    """Where both together are the prompt's tokens and more, the rest gives the rest."""
    tokenizer = fitted(kind)
    before = tokenizer.encode_prompt(prompt)
    ids = tokenizer.encode(prompt + text)
    if len(ids) < len(before) or not np.array_equal(ids[: len(before)], before):
        return
    openings = tokenizer.openings(prompt)
    assert openings is None or len(ids) == len(before) or openings[ids[len(before)]]
    stream = tokenizer.stream(prompt)
    rest = [stream.feed(token) for token in ids[len(before) :].tolist()]
    assert "".join([*rest, stream.finish()]) == text


@every_kind
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_forked_stream_goes_on_by_itself(kind: str, data: st.DataObject) -> None:
    tokenizer = fitted(kind)
    token = st.integers(0, tokenizer.vocabulary_size - 1)
    before, one, other = (data.draw(st.lists(token, max_size=6)) for _ in range(3))
    stream = tokenizer.stream()
    text = "".join(map(stream.feed, before))
    twin = stream.fork()
    found = [
        "".join([text, *map(each.feed, ids), each.finish()])
        for each, ids in ((stream, one), (twin, other))
    ]
    assert found == [tokenizer.decode(before + ids) for ids in (one, other)]


@every_kind
def test_every_token_has_an_identity_of_its_own(kind: str) -> None:
    tokenizer = fitted(kind)
    identities = [tokenizer.token_identity(token) for token in range(tokenizer.vocabulary_size)]
    assert len(set(identities)) == tokenizer.vocabulary_size
    assert tokenizer.token_identity(tokenizer.boundary_id) == ("text", "\n")
    for token, (of_what, value) in enumerate(identities):
        if of_what == "text":
            assert tokenizer.decode([token]) == tokenizer.token_text(token) == value
        elif of_what == "byte":
            assert tokenizer.token_text(token) == f"<0x{value:02X}>"
        elif of_what == "marker":
            assert tokenizer.token_text(token) == f"<{value}>"


@every_kind
@settings(max_examples=40, deadline=None)
@given(text=TEXTS)
@example(text="ΑΣ ΑΣ\nΑΣ İ ẞ")
def test_lowercase_is_all_that_is_lost(kind: str, text: str) -> None:
    tokenizer = fitted(kind, lowercase=True)
    assert tokenizer.decode(tokenizer.encode(text)) == text.lower()
    loaded = load_tokenizer(tokenizer.to_files())
    assert loaded.lowercase and loaded.to_files() == tokenizer.to_files()
    assert np.array_equal(loaded.encode(text), tokenizer.encode(text))


@every_kind
def test_lowercase_is_said_and_fitted(kind: str) -> None:
    said: list[str] = []
    lower = fit_tokenizer(TokenizerSettings(kind=kind, lowercase=True), [TRAINING], said.append)
    assert sum("--lowercase" in message for message in said) == 1
    plain = fit_tokenizer(TokenizerSettings(kind=kind), [TRAINING.lower()])
    assert lower.vocabulary_size == plain.vocabulary_size
    assert np.array_equal(lower.encode(TRAINING), plain.encode(TRAINING.lower()))
    assert not load_tokenizer(plain.to_files()).lowercase


GIVEN = {"vocab_size": 600, "min_count": 2, "word_split": "unicode", "word_oov": "spell"}


@every_kind
@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_that_the_kind_does_not_have_is_refused(kind: str, name: str) -> None:
    settings = TokenizerSettings(kind=kind, **{name: GIVEN[name]})
    if name in TOKENIZER_SETTINGS[kind]:
        fit_tokenizer(settings, [TRAINING])
    else:
        option = f"--{name.replace('_', '-')} {GIVEN[name]} has no meaning"
        with pytest.raises(UsageError, match=option):
            fit_tokenizer(settings, [TRAINING])


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
        more = 5 if kind == "word" else 0  # that the word ends here too
        assert 24 < -np.log2(floors).sum() < 49 + more


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
