"""Learning the pieces of a text with sentencepiece, quietly, repeatably and in bounded memory.

unigram  Kudo 2018, Subword Regularization, section 3.2: pieces whose unigram model makes the
         text most probable, pruned from a large seed by expectation maximisation.
bpe      Sennrich, Haddow & Birch 2016: the most frequent pair of neighbours is merged, again
         and again.

The alphabet is every character seen twice or more, up to 99.95 % of the text and half of the
vocabulary; a rarer one is left out of what sentencepiece reads, as it will be spelled in bytes.
"""

import io
import math
import re
from collections.abc import Iterable
from itertools import chain
from typing import Final

import numpy as np

from charlm.draws import Draws
from charlm.errors import DataError, UsageError
from charlm.text.decoding import Say
from charlm.text.tokenizers.utf8 import code_points

# What sentencepiece never sees: controls, and its own marks of a space and of the unknown.
HIDDEN: Final = frozenset([*map(chr, range(0x20)), "\x7f", "\u2581", "\u2585"])
_HIDDEN: Final = "".join(map(re.escape, sorted(HIDDEN)))
LONGEST_SEGMENT: Final = 4096  # characters it sees at once; its memory grows with them
_SEGMENT: Final = rf"[^{_HIDDEN}]{{1,{LONGEST_SEGMENT}}}"
# Cuts a text into segments and hidden characters; a longer segment where a word ends, if one does.
cut = re.compile(rf"{_SEGMENT}(?![^{_HIDDEN} ])|{_SEGMENT}|[{_HIDDEN}]").findall

SPECIAL: Final = 257  # the unknown, and the bytes
MOST_PIECES: Final = 16_000  # chosen by themselves
MOST_CHARACTERS: Final = 10_000_000  # learned from, of a larger text
_COVERAGE: Final = 0.9995
_SEEDS: Final = 100_000  # pieces to choose from; with ten times as many it took twice as long
_THREADS: Final = 4  # whatever the machine has: what is learned depends on their number


def train(kind: str, blocks: Iterable[str], vocab_size: int | None, say: Say) -> bytes:
    """A sentencepiece model of `kind` with at most `vocab_size` ids.

    None: the square root of the number of characters (1,000 for 1 MB: scripts/LOG.md, "How many
    pieces"), at most MOST_PIECES, beside the bytes and the alphabet. UsageError: no room for a
    piece; DataError: nothing to learn from.
    """
    if vocab_size is not None and vocab_size <= SPECIAL:
        raise UsageError(
            f"--vocab-size {vocab_size} leaves no room for a piece: {SPECIAL} tokens are the line "
            "break and the bytes.",
            f"Give at least {SPECIAL + 1}.",
        )
    segments, characters = _sample(blocks)
    counts = _count(segments)
    room = len(counts) if vocab_size is None else (vocab_size - SPECIAL + 1) // 2
    alphabet = _alphabet(counts, room)
    if not counts:
        raise DataError(
            f"The training text has no character that --tokenizer {kind} could learn from: it is "
            "line breaks and controls alone.",
            "Use --tokenizer byte, or give more text.",
        )
    wanted = vocab_size
    if wanted is None:
        wanted = SPECIAL + len(alphabet) + min(MOST_PIECES, math.isqrt(characters))
    model, size = _train(kind, segments, alphabet, wanted)
    if vocab_size is None:
        say(
            f"{kind}: {size:,} tokens: 256 bytes, {len(alphabet):,} characters, and pieces for a "
            f"text of {characters:,} characters (--vocab-size for another number)."
        )
    elif size < vocab_size:
        say(f"--vocab-size {vocab_size:,} is more than this text has pieces: {size:,} instead.")
    return model


def _sample(blocks: Iterable[str]) -> tuple[list[str], int]:
    """Segments of the text, MOST_CHARACTERS at most, and how many characters it has in all.

    Each has a number drawn for it, and stays while that is below a threshold, which is halved
    whenever there is too much: so every part of the text is as likely to stay.
    """
    numbers = Draws(0, 0).numpy("subword sample")
    kept: list[tuple[float, str]] = []
    threshold, held, characters = 1.0, 0, 0
    for block in blocks:
        characters += len(block)
        segments = [segment for segment in cut(block) if segment not in HIDDEN]
        drawn = numbers.random(len(segments)).tolist()
        for number, segment in zip(drawn, segments, strict=True):
            if number < threshold:
                kept.append((number, segment))
                held += len(segment)
        while held > MOST_CHARACTERS:
            threshold /= 2
            kept = [(number, segment) for number, segment in kept if number < threshold]
            held = sum(len(segment) for _, segment in kept)
    return [segment for _, segment in kept], characters


def _count(segments: list[str]) -> dict[str, int]:
    """How often each character stands in `segments`, the most frequent first."""
    counts = np.bincount(code_points("".join(segments)))
    found = np.flatnonzero(counts)
    order = found[np.argsort(-counts[found], kind="stable")]
    return {chr(code): int(counts[code]) for code in order}


def _alphabet(counts: dict[str, int], room: int) -> str:
    """The space first: what sentencepiece puts in its place would come back from its bytes."""
    total, covered, found = sum(counts.values()), counts.get(" ", 0), " "
    for character, count in counts.items():
        if count < 2 or covered >= _COVERAGE * total or len(found) >= room:
            break
        if character != " ":
            found += character
            covered += count
    return found


def _train(kind: str, segments: list[str], alphabet: str, vocab_size: int) -> tuple[bytes, int]:
    import sentencepiece

    inside = re.compile(f"[{re.escape(alphabet)}]+")
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=chain([" "], chain.from_iterable(map(inside.findall, segments))),
        model_writer=written,
        model_type=kind,
        vocab_size=vocab_size,
        hard_vocab_limit=False,  # fewer where the text has no more
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        byte_fallback=True,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        max_sentence_length=4 * LONGEST_SEGMENT,
        shuffle_input_sentence=False,
        seed_sentencepiece_size=max(_SEEDS, 4 * vocab_size),
        num_threads=_THREADS,
        minloglevel=4,
    )
    model = written.getvalue()
    return model, sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()
