"""What is particular to subword tokens: sentencepiece, and all that it must be kept from."""

import hashlib
import io
import json
import math

import numpy as np
import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, RunError, UsageError
from charlm.text.tokenizers import subword, subword_training
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer, load_tokenizer
from charlm.text.tokenizers.subword import SubwordTokenizer

TRAINING = "the cat sat on the mat\n  the\tother cat, the mat\r\nthe \u2581 \u2585 hats\n" * 4
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "the cat\0\t\r\n\u2581\u2585\ufffd\ufeff\u2028<s>/unk0x41 ", max_size=40
)
every_kind = pytest.mark.parametrize("kind", ["unigram", "bpe"])


def fit(kind: str, text: str | list[str], vocab_size: int | None = None) -> SubwordTokenizer:
    given = TokenizerSettings(kind=kind, vocab_size=vocab_size)
    found = fit_tokenizer(given, [text] if isinstance(text, str) else text)
    assert isinstance(found, SubwordTokenizer)
    return found


@every_kind
def test_ids_are_the_same_by_one_thread_and_by_several(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines enough for several threads, each its own; what they give comes in order."""
    text = "".join(f"the cat {number} sat\n" for number in range(2 * subword._MANY_SEGMENTS))
    tokenizer = fit(kind, text)
    asked, encode = [], sentencepiece.SentencePieceProcessor.encode

    def noted(processor: object, lines: list[str], num_threads: int) -> object:
        asked.append(num_threads)
        return encode(processor, lines, num_threads=num_threads)

    monkeypatch.setattr(sentencepiece.SentencePieceProcessor, "encode", noted)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(subword, "_processors", lambda threads=threads: threads)
        found.append(tokenizer.encode(text))
    assert np.array_equal(*found) and tokenizer.decode(found[0]) == text
    tokenizer.encode("the cat\n")
    assert asked == [1, 3, 1]


@every_kind
@settings(max_examples=60, deadline=None)
@given(training=TEXTS, text=TEXTS)
@example(training="中文中文", text="a space where training had none")
@example(training="<s><s></s></s>", text="<s></s><unk><0x41>\u2581")
def test_nothing_is_lost_whatever_it_was_fitted_on(kind: str, training: str, text: str) -> None:
    tokenizer = fit(kind, training + "x", 400)
    for sample in (text, training, training + text):
        assert tokenizer.decode(tokenizer.encode(sample)) == sample


@every_kind
def test_pieces_are_those_of_sentencepiece(kind: str) -> None:
    tokenizer = fit(kind, TRAINING, 300)
    model = tokenizer.to_files()[f"{kind}.model"]
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert "▁the" in processor.encode_as_pieces("see the cat")
    for text in ("the cat sat", "  the  hat", "catcat the", "Ünseen 中"):
        pieces = processor.encode_as_pieces(text)
        shown = [piece.replace("\u2581", " ") for piece in pieces]
        assert [tokenizer.token_text(int(token)) for token in tokenizer.encode(text)] == shown


@every_kind
def test_what_sentencepiece_does_not_see_is_spelled(kind: str) -> None:
    tokenizer = fit(kind, TRAINING, 300)
    ids = tokenizer.encode("\0\t\r\n\u2581\u2585")
    shown = [tokenizer.token_text(int(token)) for token in ids]
    assert shown == ["<0x00>", "<0x09>", "<0x0D>", "\n", "<0xE2>", "<0x96>", "<0x81>", "<0xE2>", "<0x96>", "<0x85>"]  # fmt: skip  # noqa: E501
    identities = [tokenizer.token_identity(int(token)) for token in ids[:4]]
    assert identities == [("byte", 0), ("byte", 9), ("byte", 13), ("text", "\n")]


@every_kind
@pytest.mark.parametrize("mark", "\u2581\u2585\0\t\r")
def test_what_stands_beside_it_is_learned_all_the_same(kind: str, mark: str) -> None:
    tokenizer = fit(kind, f"the{mark}cat{mark}the{mark}mat\n" * 20, 300)
    assert len(tokenizer.encode("the")) == 1
    assert len(tokenizer.encode(mark)) == len(mark.encode())


@every_kind
def test_no_piece_spans_a_line_or_hides_half_a_character(kind: str) -> None:
    tokenizer = fit(kind, TRAINING * 3, 330)
    for token in range(257, tokenizer.vocabulary_size):
        text = tokenizer.decode([token])
        assert text and "\n" not in text and "\ufffd" not in text
        assert len(tokenizer.encode(text)) >= 1


@every_kind
def test_rare_characters_are_spelled_in_training_too(kind: str) -> None:
    text = "abab baba abba\n" * 20 + "中\n"
    tokenizer = fit(kind, text)
    ids = tokenizer.encode(text)
    assert ((ids >= 1) & (ids <= 256)).sum() == 3
    assert tokenizer.encode("\n中").tolist() == [0, *(1 + byte for byte in "中".encode())]


@every_kind
def test_the_same_text_gives_the_same_model(kind: str) -> None:
    text = "".join(f"line {n} of some {n * n} words {'xyz'[n % 3] * (n % 5)}\n" for n in range(400))
    cut = text.index("\n", 1000) + 1
    one, other = fit(kind, text), fit(kind, [text[:cut], text[cut:]])
    assert one.to_files() == other.to_files()


@every_kind
def test_a_large_text_is_sampled_in_bounded_memory(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subword_training, "MOST_CHARACTERS", 3000)
    seen: list[int] = []
    train = subword_training._train

    def watched(kind, segments, alphabet, vocab_size):  # type: ignore[no-untyped-def]
        seen.append(sum(map(len, segments)))
        numbers = sorted(int(segment.split()[1]) for segment in segments)
        assert numbers[0] < 100 and numbers[-1] > 900, "from all of the text"
        return train(kind, segments, alphabet, vocab_size)

    monkeypatch.setattr(subword_training, "_train", watched)
    blocks = [f"line {n} of a long text\n" for n in range(1000)]
    assert fit(kind, blocks).to_files() == fit(kind, blocks).to_files()
    assert seen[0] == seen[1] and 1000 < seen[0] <= 3000


@every_kind
@pytest.mark.parametrize("space", [" ", ""])
def test_over_long_lines_are_cut_and_not_skipped(kind: str, space: str) -> None:
    line = ("longword" + space) * 3000  # 24,000 characters and more
    tokenizer = fit(kind, line, 300)
    assert any(len(tokenizer.decode([token])) > 3 for token in range(257, 280)), "it was learned"
    ids = tokenizer.encode(line)
    assert tokenizer.decode(ids) == line
    segments = subword_training.cut(line)
    assert max(map(len, segments)) <= subword_training.LONGEST_SEGMENT
    if space:
        assert all(segment.strip().endswith("word") for segment in segments), "at a word's end"


@every_kind
def test_a_vocabulary_larger_than_the_text_is_reduced_and_said(kind: str) -> None:
    said: list[str] = []
    given = TokenizerSettings(kind=kind, vocab_size=5000)
    found = fit_tokenizer(given, ["a small text of few words\n" * 3], said.append)
    assert 257 < found.vocabulary_size < 500
    assert said == [
        f"--vocab-size 5,000 is more than this text has pieces: {found.vocabulary_size} instead."
    ]


@every_kind
@pytest.mark.parametrize("size", [258, 259, 262, 290])
def test_a_small_vocabulary_has_room_for_few_characters(kind: str, size: int) -> None:
    tokenizer = fit(kind, "the quick brown fox jumps over the lazy dog\n" * 9, size)
    assert 258 <= tokenizer.vocabulary_size <= size
    assert tokenizer.decode(tokenizer.encode("the fox")) == "the fox"


@every_kind
def test_the_size_is_chosen_by_the_text(kind: str) -> None:
    said: list[str] = []
    text = "".join(f"w{n} is word {n * 7919 % 1000}\n" for n in range(600))
    found = fit_tokenizer(TokenizerSettings(kind=kind), [text], said.append)
    characters = sum(text.count(c) > 1 for c in set(text) - {"\n"})
    assert found.vocabulary_size == 257 + characters + math.isqrt(len(text))
    assert len(said) == 1 and f"{found.vocabulary_size:,} tokens" in said[0]


@every_kind
def test_what_cannot_be_learned_is_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="--vocab-size 257 leaves no room"):
        fit(kind, TRAINING, 257)
    with pytest.raises(DataError, match="line breaks and controls alone"):
        fit(kind, "\n\t\r\n\n")
    with pytest.raises(DataError, match=r"U\+DC80"):
        fit(kind, "abc \udc80")


@every_kind
@pytest.mark.parametrize("text", ["a", "ab", "  ", "aaaa\n", "中"])
def test_tiny_texts_train(kind: str, text: str) -> None:
    tokenizer = fit(kind, text)
    assert tokenizer.decode(tokenizer.encode(text + "\nelse")) == text + "\nelse"


@every_kind
def test_it_is_quiet(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    tokenizer = fit(kind, TRAINING + "\0\n" * 3 + "\u2581" * 9000, 4000)
    tokenizer.encode("\0 unseen 中")
    with pytest.raises(RunError):
        load_tokenizer(with_model(tokenizer, b"\x0a\xff garbage"))
    assert capfd.readouterr() == ("", "")


# ---- stored models


def with_model(tokenizer: SubwordTokenizer, model: bytes) -> dict[str, bytes]:
    """The files of a tokenizer with another model, and the right hash for it."""
    files = tokenizer.to_files()
    description = json.loads(files["tokenizer.json"])
    description["model_sha256"] = hashlib.sha256(model).hexdigest()
    return {
        "tokenizer.json": json.dumps(description).encode(),
        f"{tokenizer.kind}.model": model,
    }


def model_of(**settings: object) -> bytes:
    written = io.BytesIO()
    ours = {
        "byte_fallback": True, "unk_id": 0, "bos_id": -1, "eos_id": -1, "minloglevel": 4,
        "hard_vocab_limit": False, "vocab_size": 290, "normalization_rule_name": "identity",
    }  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat"] * 5),
        model_writer=written,
        **(ours | settings),
    )
    return written.getvalue()


@every_kind
def test_a_changed_model_is_refused_by_its_hash_and_not_parsed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = fit(kind, TRAINING, 300).to_files()
    model = bytearray(files[f"{kind}.model"])
    model[len(model) // 2] ^= 1

    def never(*arguments: object, **keywords: object) -> None:
        pytest.fail("it was parsed")

    monkeypatch.setattr(sentencepiece, "SentencePieceProcessor", never)
    with pytest.raises(RunError, match=f"{kind}.model is damaged: its SHA-256 is"):
        load_tokenizer({**files, f"{kind}.model": bytes(model)})
    with pytest.raises(RunError, match=f"needed: tokenizer.json and {kind}.model, alone"):
        load_tokenizer({"tokenizer.json": files["tokenizer.json"]})


@every_kind
@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"garbage" * 99,
        model_of()[:2000],
        model_of(bos_id=1, eos_id=2),
        model_of(byte_fallback=False, vocab_size=30),
        model_of(unk_id=1, bos_id=0),
        model_of(control_symbols=["<ctl>"]),
        model_of(user_defined_symbols=["two\nlines"]),
    ],
    ids=["empty", "garbage", "cut", "borders", "no-bytes", "unknown", "control", "line-break"],
)
def test_a_model_that_charlm_did_not_make_is_refused(kind: str, model: bytes) -> None:
    with pytest.raises(RunError, match=f"{kind}.model is no"):
        load_tokenizer(with_model(fit(kind, TRAINING, 300), model))


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.sampled_from([0, 257, *(1 + byte for byte in b"a\n\xc3\xa4\xe4\xb8\xad")]), max_size=7))  # fmt: skip  # noqa: E501
def test_what_the_grammar_allows_are_whole_characters(ids: list[int]) -> None:
    tokenizer = fit("bpe", "abab\n" * 9, 262)
    grammar = tokenizer.grammar
    column = np.array(ids, np.intp)[:, None]
    before, final = grammar.run(np.zeros(1, np.uint8), column)
    allowed = bool(grammar.legal[before, column].all()) and final[0] == 0
    try:
        b"".join(
            bytes((token - 1,)) if 0 < token < 257 else b"\xf0\x9f\x98\x80" for token in ids
        ).decode()
        whole = 1 + ord("\n") not in ids
    except UnicodeDecodeError:
        whole = False
    assert allowed == whole


def test_pieces_have_a_floor_as_the_best_spelling_may_never_use_one() -> None:
    grammar = fit("unigram", TRAINING, 300).grammar
    assert grammar.floor[0, 0] == 0.25
    np.testing.assert_allclose(grammar.floor[0, 1:257].sum(), 0.5)
    assert (grammar.floor[0, 257:] > 0).all()
    assert grammar.floor[0, 1 + ord("\n")] == 0


@every_kind
def test_a_space_after_a_prompt_is_left_to_the_next_piece(kind: str) -> None:
    tokenizer = fit(kind, TRAINING, 300)
    assert tokenizer.encode_prompt("on the ").tolist() == tokenizer.encode("on the").tolist()
    openings = tokenizer.openings("on the ")
    assert openings is not None
    shown = {tokenizer.token_text(int(token)) for token in np.flatnonzero(openings)}
    assert all(text.startswith(" ") for text in shown - {"<0x20>"}) and " cat" in shown
    (cat,) = tokenizer.encode(" cat").tolist()
    for prompt, written in (("on the ", "cat cat"), ("on the", " cat cat"), ("a\n", " cat cat")):
        stream = tokenizer.stream(prompt)
        assert stream.feed(cat) + stream.feed(cat) == written
    for prompt in ("on the", "on the  ", "", "on the\n"):
        assert tokenizer.encode_prompt(prompt).tolist() == tokenizer.encode(prompt).tolist()
        assert tokenizer.openings(prompt) is None


@every_kind
def test_a_piece_that_is_no_text_is_refused_even_with_the_right_hash(kind: str) -> None:
    stored = fit_tokenizer(
        TokenizerSettings(kind=kind), ["the cat sat on the mat\n" * 40]
    ).to_files()
    name = f"{kind}.model"
    model = stored[name]
    assert model.count(b"\xe2\x96\x81") > 1  # pieces that begin with a space
    place = model.rindex(b"\xe2\x96\x81")
    hostile = model[:place] + b"\xff\xfe\xfd" + model[place + 3 :]
    description = stored["tokenizer.json"].replace(
        hashlib.sha256(model).hexdigest().encode(), hashlib.sha256(hostile).hexdigest().encode()
    )
    with pytest.raises(RunError, match=f"{kind}.model"):
        load_tokenizer({name: hostile, "tokenizer.json": description})
