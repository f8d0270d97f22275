"""What is particular to word tokens: items, expected gaps, spelling, and the literature's <unk>."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, RunError, UsageError
from charlm.text.tokenizers import word, word_pieces
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer, load_tokenizer
from charlm.text.tokenizers.word import WordTokenizer
from charlm.text.tokenizers.word_split import Splitting

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "ab'.,(\"-中ก \t\r\n\u0301\u00a0", max_size=40
)


def words(text: str | list[str], **settings: object) -> WordTokenizer:
    given = TokenizerSettings(kind="word", **settings)  # type: ignore[arg-type]
    found = fit_tokenizer(given, [text] if isinstance(text, str) else text)
    assert isinstance(found, WordTokenizer)
    return found


def shown(tokenizer: WordTokenizer, text: str) -> list[str]:
    return [tokenizer.token_text(token) for token in tokenizer.encode(text).tolist()]


def spelled(text: str) -> list[str]:
    return ["<spell>", *(f"<0x{byte:02X}>" for byte in text.encode()), "<end>"]


# ---- items and gaps


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Don't go, it's 3.14 or 1,000!", "Don't go , it's 3.14 or 1,000 !"),
        ("the dogs’ l’État 'tis", "the dogs ’ l’État ' tis"),
        ("L4-L5 10mg she_x co\u00adop a\u200cb", "L4 - L5 10 mg she_x co\u00adop a\u200cb"),
        ('"Oh..." --- ==x ?!', '" Oh ... " --- == x ? !'),
        ("e\u0301te\u0301 नमस्ते Ü", "e\u0301te\u0301 नमस्ते Ü"),
        ("中文字，Python3。", "中 文 字 ， Python3 。"),
        ("ひらガナー", "ひ ら ガ ナ ー"),
        ("สวัสดี", "ส วั ส ดี"),
        ("👩\u200d⚕\ufe0f😀😀", "👩\u200d⚕\ufe0f 😀 😀"),
        ("$5.00 #tag @me a/b", "$ 5.00 # tag @ me a / b"),
        ("a\0b", "a \0 b"),
    ],
)
def test_unicode_items(text: str, items: str) -> None:
    pieces = Splitting("unicode").split(text).texts
    assert [piece for piece in pieces if not piece.isspace()] == items.split(" ")


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_whitespace_items_are_those_of_str_split(text: str) -> None:
    pieces = Splitting("whitespace").split(text).texts
    assert "".join(pieces) == text
    assert [piece for piece in pieces if not piece.isspace()] == text.split()
    assert [piece for piece in pieces if "\n" in piece] == ["\n"] * text.count("\n")


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_unicode_pieces_join_to_the_text(text: str) -> None:
    pieces = Splitting("unicode").split(text).texts
    assert "".join(pieces) == text
    assert [piece for piece in pieces if "\n" in piece] == ["\n"] * text.count("\n")
    for piece in pieces:
        assert piece == "\n" or piece.isspace() or not piece[0].isspace()


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(st.sampled_from("ab ,\n\t\u0600\u0301\u200d\u2003é中"), max_size=30),
    most=st.integers(0, 9),
)
@example(text="a\u0600 b", most=9)  # which joins with the space after it
def test_pieces_of_chunks_are_those_of_the_whole_text(text: str, most: int) -> None:
    """Whatever was met before, and also where that is forgotten."""
    for name in ("unicode", "whitespace"):
        splitting = Splitting(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(word_pieces, "MOST_CHUNKS", most)
            for _ in range(2):
                pieces = splitting.split(text)
                assert pieces.texts == splitting._cut(text)
                assert pieces.kinds.tolist() == [splitting.kind(p) for p in pieces.texts]


def test_a_tokenizer_that_begins_anew_gives_the_same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["one two, three\n", "four five\n", "one six\n", "two (seven) one\n"]
    tokenizer = words("".join(lines), min_count=1)
    wanted = [tokenizer.encode(line).tolist() for line in lines]
    monkeypatch.setattr(word_pieces, "MOST_CHUNKS", 3)
    assert [tokenizer.encode(line).tolist() for line in lines * 2] == wanted * 2


@pytest.mark.parametrize(
    "text",
    [
        "He came (so they say), saw: won!",
        "“Ja”, sagte er; ‘nein’. ¿Qué? ¡Sí!",
        "It costs $5, or €10 [10% off] @home #1",
        "a state-of-the-art and/or well-known one",
        "中文，（好）。Python 3",
        "ภาษาไทย",
        "1 + 1 = 2 * 1 & so on",
        "sit·uation\\path",
    ],
)
def test_usual_typography_is_what_is_expected(text: str) -> None:
    pieces = Splitting("unicode").split(text)
    written = [piece for piece, kept in zip(pieces.texts, pieces.written, strict=True) if kept]
    assert not any(piece.isspace() for piece in written)
    assert not pieces.joined.any()


def test_a_gap_that_is_not_the_expected_one_is_a_token() -> None:
    text = "a b , c\n  d\te f \n" * 3 + "g h" * 3 + "(i)(j)" * 3
    tokenizer = words(text)
    assert shown(tokenizer, "a b , c\n") == ["a", "b", " ", ",", "c", "\n"]
    assert shown(tokenizer, "a b, c\n") == ["a", "b", ",", "c", "\n"]
    assert shown(tokenizer, "  d\te f \n") == ["  ", "d", "\t", "e", "f", " ", "\n"]
    assert shown(tokenizer, "(i)(j)") == ["(", "i", ")", "<join>", "(", "j", ")"]
    assert shown(tokenizer, "a( i") == ["a", "<join>", "(", " ", "i"]
    assert shown(tokenizer, "a\u2003b") == ["a", *spelled("\u2003"), "b"]


def test_whitespace_splitting_expects_one_space() -> None:
    tokenizer = words("a, b. c\n" * 3, word_split="whitespace")
    assert shown(tokenizer, "a, b. c\n") == ["a,", "b.", "c", "\n"]
    assert shown(tokenizer, " a,  b.") == [*spelled(" "), "a,", *spelled("  "), "b."]


def by_hand(text: str, tokenizer: WordTokenizer, split: str, continues: bool) -> list[str]:
    """The tokens of `text` by a plain loop over lines."""
    kinds = Splitting(split)
    found: list[str] = []
    known = set(tokenizer._words)
    for number, line in enumerate(re.split("(\n)", text)):
        if line == "\n":
            found.append("\n")
            continue
        pieces = kinds.split(line).texts
        before = None  # the item that the last gap stands after
        for place, piece in enumerate(pieces):
            if piece.isspace():
                following = pieces[place + 1] if place + 1 < len(pieces) else None
                plain = piece == " " and before is not None and following is not None
                if plain and not kinds.kind(before) & 2 and not kinds.kind(following) & 1:
                    continue
                before = None
            else:
                touches = place > 0 and not pieces[place - 1].isspace()
                if touches and not kinds.kind(pieces[place - 1]) & 2 and not kinds.kind(piece) & 1:
                    found.append("<join>")
                if place == 0 and number == 0 and continues:
                    found.append("<join>")
                before = piece
            found += [piece] if piece in known else spelled(piece)
    return found


@settings(max_examples=150, deadline=None)
@given(
    training=TEXTS,
    text=TEXTS,
    split=st.sampled_from(["unicode", "whitespace"]),
    least=st.integers(1, 2),
    continues=st.booleans(),
)
@example(training="a b", text="ab", split="whitespace", least=1, continues=True)
def test_tokens_are_those_of_a_plain_loop(
    training: str, text: str, split: str, least: int, continues: bool
) -> None:
    tokenizer = words(training, word_split=split, min_count=least)
    for sample in (text, training, training + text):
        ids = tokenizer.encode(sample, continues).tolist()
        found = [tokenizer.token_text(token) for token in ids]
        assert found == by_hand(sample, tokenizer, split, continues)
        assert tokenizer.decode(tokenizer.encode(sample)) == sample


# ---- the vocabulary


def test_the_vocabulary_is_counted_by_hand() -> None:
    text = "b a  c b\nb c,a  c\n" * 2
    tokenizer = words(text, min_count=4)
    # b 6, c 6; the gap of two spaces 4, a 4; the comma 2 is spelled.
    assert tokenizer._words == ("b", "c", "  ", "a")
    assert tokenizer.vocabulary_size == 260 + 4
    assert tokenizer.boundary_id == 0
    assert tokenizer.encode("b a\n").tolist() == [260, 263, 0]
    assert tokenizer.encode("c,\n").tolist() == [261, 1, 4 + ord(","), 2, 0]
    identities = [tokenizer.token_identity(token) for token in (0, 1, 2, 3, 4, 260, 262)]
    assert identities == [
        ("text", "\n"), ("marker", "spell"), ("marker", "end"), ("marker", "join"), ("byte", 0),
        ("word", "b"), ("gap", "  "),
    ]  # fmt: skip


def test_special_tokens_are_not_what_a_text_calls_them() -> None:
    text = "<unk> <eos> <join> <spell> <0x41>\n" * 3
    tokenizer = words(text, word_split="whitespace")
    ids = tokenizer.encode(text)
    assert (ids >= 260).sum() == 15 and (ids == 0).sum() == 3
    assert tokenizer.decode(ids) == text


def test_vocab_size_keeps_the_most_frequent() -> None:
    text = "a a a b b b b c c c c c d d\n"
    tokenizer = words(text, vocab_size=262, min_count=1)
    assert tokenizer.vocabulary_size == 262 and tokenizer._words == ("c", "b")
    assert words(text, vocab_size=4, min_count=1, word_oov="unk")._words == ("c", "b")
    assert words(text, vocab_size=900, min_count=1)._words == ("c", "b", "a", "d")


def test_too_many_words_are_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word, "MOST_TOKENS", 262)
    said: list[str] = []
    settings = TokenizerSettings(kind="word", min_count=2)
    found = fit_tokenizer(settings, ["a a b b b c c\n"], said.append)
    assert found.vocabulary_size == 262
    assert len(said) == 1 and "3 words are seen 2 times or more" in said[0] and "the 2 " in said[0]
    assert fit_tokenizer(settings, ["a a b b b\n"], said.append).vocabulary_size == 262
    assert len(said) == 1


def test_counting_holds_so_many_kinds_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word, "MOST_TYPES", 10)
    blocks = [
        f"often often {' '.join(f'rare{block}x{n}' for n in range(9))}\n" for block in range(20)
    ]
    assert words(blocks, min_count=3)._words == ("often",)


def test_what_is_too_long_is_no_word() -> None:
    long = "x" * 257
    tokenizer = words(f"{long} {long[1:]}\n" * 5, word_split="whitespace")
    assert tokenizer._words == (long[1:],)
    assert shown(tokenizer, long) == spelled(long)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vocab_size": 260}, "--vocab-size 260 leaves no room.*260"),
        ({"vocab_size": 2, "word_oov": "unk"}, "--vocab-size 2 leaves no room"),
        ({"min_count": 0}, "--min-count 0"),
        ({"word_split": "letters"}, "--word-split is letters"),
        ({"word_oov": "lose"}, "--word-oov is lose"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        words("a b\n", **given)


@pytest.mark.parametrize(
    "stored", ['["a", "a"]', '["a\\nb"]', '[""]', '["\\ud800"]', "[1]", '"a"'], ids=ascii
)
def test_damaged_words_are_refused(stored: str) -> None:
    content = words("a b\n").to_files()["tokenizer.json"].decode()
    content = content.replace('"words": []', f'"words": {stored}')
    with pytest.raises(RunError):
        load_tokenizer({"tokenizer.json": content.encode()})


# ---- spelling


@settings(max_examples=150, deadline=None)
@given(ids=st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 260, *(4 + b for b in b"a\n\xc3\xa4\xe4\xb8\xad")]), max_size=9))  # fmt: skip  # noqa: E501
def test_what_the_grammar_allows_are_whole_spelled_items(ids: list[int]) -> None:
    grammar = words("w w w\n").grammar
    column = np.array(ids, np.intp)[:, None]
    before, final = grammar.run(np.zeros(1, np.uint8), column)
    allowed = bool(grammar.legal[before, column].all()) and final[0] == 0
    # By hand: as characters, a spelled item is s, then UTF-8 of some text without a line break, e.
    parts = re.split("[sw0j]", "".join(mark(token) for token in ids))
    marks = [mark(token) for token in ids if mark(token) in "sw0j"]
    good = parts[0] == ""
    for kind, part in zip(marks, parts[1:], strict=True):
        good &= part == "" if kind != "s" else part.endswith("e") and is_text(part[:-1])
    assert allowed == good


def mark(token: int) -> str:
    return {0: "0", 1: "s", 2: "e", 3: "j", 260: "w"}.get(token) or chr(0x100 + token - 4)


def is_text(marks: str) -> bool:
    if "e" in marks:
        return False
    try:
        text = bytes(ord(mark) - 0x100 for mark in marks).decode()
    except UnicodeDecodeError:
        return False
    return text != "" and "\n" not in text


def test_a_spelled_item_has_no_line_break() -> None:
    grammar = words("w w w\n").grammar
    assert not grammar.legal[:, 4 + ord("\n")].any()
    assert grammar.legal[:, 4 + ord("\r")].sum() == 2


def test_what_is_cut_short_is_shown_where_it_stands() -> None:
    tokenizer = words("w w w, w\n" * 3)
    ids = {"w": tokenizer.encode("w")[0], ",": tokenizer.encode(",")[0], "中": 4 + 0xE4}
    assert tokenizer.decode([ids["w"], 1, ids["中"], ids["w"]]) == "w \ufffd w"
    assert tokenizer.decode([ids["w"], 1, ids["中"], 2, ids[","]]) == "w \ufffd,"
    assert tokenizer.decode([ids["中"], 0, ids["w"], 1, ids["中"]]) == "\ufffd\nw \ufffd"


def test_the_state_is_found_from_few_tokens_back() -> None:
    """Also deep inside a word that is spelled: only continuation bytes do not tell."""
    tokenizer = words("a a a\n")
    ids = tokenizer.encode("a " + "xä中" * 50 + " a")
    before, _ = tokenizer.grammar.run(np.zeros(1, np.uint8), ids[:, None])
    looked = 0

    class Watched(np.ndarray):  # type: ignore[type-arg]
        def __getitem__(self, place):  # type: ignore[no-untyped-def]
            nonlocal looked
            looked += 1
            return super().__getitem__(place)

    for place in range(len(ids)):
        looked = 0
        state = tokenizer.grammar.state_before(ids.view(Watched), place)
        assert state == before[place, 0]
        assert looked < 12


def test_floors_lead_out_of_the_vocabulary_and_to_an_end() -> None:
    grammar = words("a a a\n").grammar
    assert np.flatnonzero(grammar.floor[0]).tolist() == [0, 1, 3]
    within = int(grammar.next_state[grammar.next_state[0, 1], 4 + ord("a")])
    assert 0.5 < grammar.floor[within, 2] < 0.51


# ---- text as it comes


def test_text_comes_as_soon_as_it_is_certain() -> None:
    tokenizer = words("the cat, sat\n" * 3)
    stream = tokenizer.stream()
    ids = tokenizer.encode("the ox, sat(中)  cat\n").tolist()
    texts = [(tokenizer.token_text(token), stream.feed(token)) for token in ids]
    assert texts == [
        ("the", "the"), ("<spell>", ""), ("<0x6F>", " o"), ("<0x78>", "x"), ("<end>", ""),
        (",", ","), ("sat", " sat"), ("<join>", ""), ("<spell>", ""), ("<0x28>", "("),
        ("<end>", ""), ("<spell>", ""), ("<0xE4>", ""), ("<0xB8>", ""), ("<0xAD>", "中"),
        ("<end>", ""), ("<spell>", ""), ("<0x29>", ")"), ("<end>", ""), ("<spell>", ""),
        ("<0x20>", " "), ("<0x20>", " "), ("<end>", ""), ("cat", "cat"), ("\n", "\n"),
    ]  # fmt: skip
    assert stream.finish() == ""


@pytest.mark.parametrize(
    ("prompt", "ids_of", "next_word", "written"),
    [
        ("the cat", "the cat", "sat", " sat"),
        ("the cat ", "the cat", "sat", "sat"),
        ("the cat ", "the cat", "  ", " "),
        ("the cat", "the cat", ",", ","),
        ("cat (", "cat (", "sat", "sat"),
        ("the\n", "the\n", "sat", "sat"),
        ("", "", "sat", "sat"),
    ],
)
def test_a_space_after_a_prompt_goes_without_saying(
    prompt: str, ids_of: str, next_word: str, written: str
) -> None:
    tokenizer = words("the cat, sat (sat  sat\n" * 3)
    assert tokenizer.encode_prompt(prompt).tolist() == tokenizer.encode(ids_of).tolist()
    (token,) = tokenizer.encode(next_word).tolist()
    assert tokenizer.stream(prompt).feed(token) == written


def test_what_can_follow_a_space() -> None:
    tokenizer = words("the cat, sat (sat  sat\tsat\n" * 3)
    openings = tokenizer.openings("the cat ")
    assert openings is not None
    shown = {tokenizer.token_text(int(token)) for token in np.flatnonzero(openings)}
    assert shown == {"the", "cat", "sat", "(", "  ", "<spell>"}
    for prompt in ("the cat", "the ( ", "", "the\n", "the  "):
        assert tokenizer.openings(prompt) is None
    assert words(", , ,\n", word_oov="unk").openings("a ") is None


@pytest.mark.parametrize("prompt", ["cat ( ", "cat  ", " ", "cat\n ", "中 "])
def test_other_space_at_the_end_of_a_prompt_stays(prompt: str) -> None:
    tokenizer = words("the cat, sat (sat 中\n" * 3)
    assert tokenizer.encode_prompt(prompt).tolist() == tokenizer.encode(prompt).tolist()


# ---- the literature's <unk>


def test_unknown_words_and_whitespace_are_lost_where_asked() -> None:
    tokenizer = words(" a  b <unk> \n" * 3 + "once\n", word_split="whitespace", word_oov="unk")
    assert tokenizer._words == ("<unk>", "a", "b")
    assert tokenizer.unknown_id == 1
    ids = tokenizer.encode("  b never <unk>\ta \n\n")
    assert ids.tolist() == [4, 1, 2, 3, 0, 0]
    assert tokenizer.decode(ids) == "b <unk> <unk> a\n\n"
    assert tokenizer.count_unknown(ids) == 1
    assert tokenizer.token_identity(1) == ("marker", "unk")
    assert tokenizer.token_identity(2) == ("word", "<unk>")
    assert load_tokenizer(tokenizer.to_files()).unknown_id == 1


@settings(max_examples=80, deadline=None)
@given(text=TEXTS)
def test_tokens_of_the_literature_are_words_and_line_ends(text: str) -> None:
    tokenizer = words(text, word_split="whitespace", word_oov="unk", min_count=1)
    assert len(tokenizer.encode(text)) == len(text.split()) + text.count("\n")
    assert tokenizer.vocabulary_size == 2 + len(set(text.split()))
    assert tokenizer.count_unknown(tokenizer.encode(text)) == 0
    counts = Counter(text.split())
    known = [tokenizer._words[token - 2] for token in tokenizer.encode(text) if token > 1]
    assert Counter(known) == counts


def test_the_unknown_word_is_measured_and_never_drawn() -> None:
    grammar = words("a a a b\n", word_oov="unk").grammar
    assert grammar.legal.tolist() == [[True, True, True]]
    assert grammar.drawable.tolist() == [[True, False, True]]
    assert grammar.floor.tolist() == [[0.5, 0.5, 0.0]]
    spelling = words("a a a b\n").grammar
    assert spelling.drawable is spelling.legal


@pytest.mark.parametrize("oov", ["spell", "unk"])
def test_a_lone_surrogate_is_refused_everywhere(oov: str) -> None:
    tokenizer = words("a b\n", word_oov=oov)
    with pytest.raises(DataError, match=r"U\+DC80, at character 2"):
        tokenizer.encode("a \udc80")
    with pytest.raises(DataError, match=r"U\+DC80"):
        words("a \udc80", word_oov=oov)
