"""The lines of corpora/memory: as the generator makes them, with chances that add up to one.

All lines of each kind are written down here in another way than the generator draws them.
"""

import itertools
import math
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import make_memory

from charlm.registry import CORPORA
from charlm.text.source_bits import source_bits

CORPUS = Path(__file__).resolve().parents[2] / "corpora" / "memory"
ALL = 1 / 6


def brackets(pairs: int) -> list[str]:
    """By leaving out of all strings those that do not close."""
    found = []
    for steps in itertools.product((1, -1), repeat=2 * pairs):
        if sum(steps) == 0 and min(itertools.accumulate(steps)) >= 0:
            for kinds in itertools.product(("()", "[]"), repeat=pairs):
                rest, stack, text = iter(kinds), [], ""
                for step in steps:
                    if step == 1:
                        stack.append(next(rest))
                    text += stack[-1][0] if step == 1 else stack.pop()[1]
                found.append(text)
    return found


def words(least: int, most: int) -> Iterator[tuple[str, float]]:
    for length in range(least, most + 1):
        for letters in itertools.product("dfgkmprz", repeat=length):
            yield "".join(letters), 1 / (most - least + 1) / 8**length


def phrases() -> Iterator[tuple[str, float]]:
    nouns = [noun + end for noun in make_memory.NOUNS for end in ("", "s")]
    chains = [(f"the {noun}", noun.endswith("s"), 1 / 16) for noun in nouns]
    for length in range(3):
        for text, many, chance in chains:
            for adjective in make_memory.ADJECTIVES:
                yield f"{text} {'are' if many else 'is'} {adjective}", chance / 3 / 8
        if length < 2:
            chains = [
                (f"{text} {between} the {noun}", many, chance / 4 / 16)
                for text, many, chance in chains
                for between in make_memory.BETWEEN
                for noun in nouns
            ]


def every_line(kind: str) -> Iterator[tuple[str, float]]:
    """All lines of a kind with their chances among the lines of that kind."""
    if kind == "count":
        for number in range(1, 21):
            yield "a" * number + "b" * number, 1 / 20
    elif kind == "nest":
        for pairs in range(1, 7):
            found = brackets(pairs)
            for text in found:
                yield text, 1 / 6 / len(found)
    elif kind == "copy":
        yield from ((f"{word}:{word}", chance) for word, chance in words(3, 6))
    elif kind == "turn":
        yield from ((f"{word}<{word[::-1]}", chance) for word, chance in words(3, 6))
    elif kind == "add":
        for a, b in itertools.product(range(100), repeat=2):
            yield f"{a}+{b}={a + b}", 1e-4
    else:
        yield from phrases()


KINDS = ("count", "nest", "copy", "turn", "add", "agree")


@pytest.mark.parametrize("kind", KINDS)
def test_bits_are_those_of_chances_that_add_up_to_one(kind: str) -> None:
    chances: dict[str, float] = {}
    lines = 0
    for text, chance in every_line(kind):
        chances[text] = chance
        lines += 1
    assert len(chances) == lines, "a line is there twice"
    assert math.fsum(chances.values()) == pytest.approx(1, rel=1e-9)
    rows = 0
    for split in make_memory.MEASURED:
        text = (CORPUS / f"{split}.txt").read_text("utf-8")
        for row in (CORPUS / "bits" / f"{split}.tsv").read_text("utf-8").splitlines()[1:]:
            _, offset, length, bits, found = row.split("\t")
            if found == kind:
                line = text[int(offset) : int(offset) + int(length)]
                assert 2 ** -float(bits) == pytest.approx(ALL * chances[line], rel=1e-5), line
                rows += 1
    assert rows > 80


def test_no_line_is_of_two_kinds() -> None:
    """Each kind has a sign that no other has; else a line's chance would be a sum."""
    signs = {"count": "ab", "nest": "([", "copy": ":", "turn": "<", "add": "=", "agree": " "}
    for index in range(300):
        text, _, kind = make_memory.line("any", index)
        own = [name for name, sign in signs.items() if any(each in text for each in sign)]
        assert own == [kind] or (own == ["count", "agree"] and kind == "agree"), text


def test_lines_are_drawn_with_their_chances() -> None:
    draw = random.Random(1)
    for kind, most in (("count", 20), ("nest", 9)):
        chances = dict(itertools.islice(every_line(kind), most))
        seen = Counter(getattr(make_memory, kind)(draw)[0] for _ in range(4000))
        for text, chance in chances.items():
            deviation = math.sqrt(4000 * chance * (1 - chance))
            assert abs(seen[text] - 4000 * chance) < 4 * deviation, text


def test_the_corpus_is_what_the_generator_makes() -> None:
    for name, content in make_memory.make().items():
        assert (CORPUS / name).read_bytes() == content.encode(), name
    assert sum(path.stat().st_size for path in CORPUS.rglob("*.*")) < 200_000


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("split", ["valid", "test"])
def test_corpora_that_come_with_charlm_carry_their_limit(corpus: str, split: str) -> None:
    import hashlib

    path = CORPUS.parent / corpus / f"{split}.txt"
    content = path.read_text("utf-8")
    said: list[str] = []
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    bits = source_bits(path, len(content), sha256, said.append)
    assert bits is not None and not said
    assert 0.4 < bits / len(content) < 1
