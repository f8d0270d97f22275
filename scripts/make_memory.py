"""Makes corpora/memory, or checks it: lines that are foretold by what stood before in them.

python scripts/make_memory.py            writes train, valid, test and bits
python scripts/make_memory.py --check    makes them in memory and compares the sha256

Each line is drawn by itself: a kind, then the choices of that kind, each with equal chances.
What is not chosen follows from what is there, and costs nothing: so the bits of a line are the
sum of the logarithms below, and a model comes near to them only if it remembers.
"""

import argparse
import hashlib
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "corpora" / "memory"
SEED = 7
LINES = {"train": 9000, "valid": 400, "test": 400}
MEASURED = ("valid", "test")  # the parts whose bits are stored

MOST_COUNTED = 20
MOST_PAIRS = 6
LETTERS = "dfgkmprz"
SHORTEST, LONGEST = 3, 6  # letters to be repeated
MOST_ADDED = 99
NOUNS = ("cup", "door", "key", "lamp", "letter", "map", "plate", "shoe")
BETWEEN = ("behind", "beside", "near", "under")
ADJECTIVES = ("blue", "broken", "clean", "new", "old", "small", "warm", "wet")
MOST_BETWEEN = 2

Drawn = tuple[str, float]  # a line and its bits, without those of its kind


def count(draw: random.Random) -> Drawn:
    """aaabbb: as many b as a."""
    number = draw.randint(1, MOST_COUNTED)
    return "a" * number + "b" * number, math.log2(MOST_COUNTED)


def nest(draw: random.Random) -> Drawn:
    """([])(): each bracket closed by its own kind; all nestings of a size are as probable."""
    pairs = draw.randint(1, MOST_PAIRS)
    text = _nested(pairs, draw.randrange(nestings(pairs)), draw)
    return text, math.log2(MOST_PAIRS) + math.log2(nestings(pairs)) + pairs


def nestings(pairs: int) -> int:
    """How many there are of so many pairs, of one kind: the Catalan number."""
    return math.comb(2 * pairs, pairs) // (pairs + 1)


def _nested(pairs: int, which: int, draw: random.Random) -> str:
    """Nesting number `which` of so many pairs: a first pair with some inside, the rest after."""
    if not pairs:
        return ""
    for inside in range(pairs):
        after = pairs - 1 - inside
        block = nestings(inside) * nestings(after)
        if which < block:
            opening, closing = draw.choice(("()", "[]"))
            first = _nested(inside, which // nestings(after), draw)
            return opening + first + closing + _nested(after, which % nestings(after), draw)
        which -= block
    raise AssertionError("there are no more")


def copy(draw: random.Random) -> Drawn:
    """kfd:kfd"""
    word, bits = _word(draw)
    return f"{word}:{word}", bits


def turn(draw: random.Random) -> Drawn:
    """kfd<dfk"""
    word, bits = _word(draw)
    return f"{word}<{word[::-1]}", bits


def _word(draw: random.Random) -> Drawn:
    length = draw.randint(SHORTEST, LONGEST)
    word = "".join(draw.choice(LETTERS) for _ in range(length))
    return word, math.log2(LONGEST - SHORTEST + 1) + length * math.log2(len(LETTERS))


def add(draw: random.Random) -> Drawn:
    """37+58=95"""
    a, b = draw.randint(0, MOST_ADDED), draw.randint(0, MOST_ADDED)
    return f"{a}+{b}={a + b}", 2 * math.log2(MOST_ADDED + 1)


def agree(draw: random.Random) -> Drawn:
    """the keys near the door are old: the verb goes with the first noun, not with the last."""
    between = draw.randint(0, MOST_BETWEEN)
    nouns = [(draw.choice(NOUNS), draw.random() < 0.5) for _ in range(between + 1)]
    said = [f"the {noun}{'s' * many}" for noun, many in nouns]
    text = said[0] + "".join(f" {draw.choice(BETWEEN)} {other}" for other in said[1:])
    text += f" {'are' if nouns[0][1] else 'is'} {draw.choice(ADJECTIVES)}"
    bits = math.log2(MOST_BETWEEN + 1) + math.log2(len(ADJECTIVES))
    bits += (between + 1) * math.log2(2 * len(NOUNS)) + between * math.log2(len(BETWEEN))
    return text, bits


KINDS: tuple[Callable[[random.Random], Drawn], ...] = (count, nest, copy, turn, add, agree)


def line(split: str, index: int) -> tuple[str, float, str]:
    """A line, its bits and its kind; it has a seed of its own."""
    draw = random.Random(f"{SEED} {split} {index}")
    kind = draw.choice(KINDS)
    text, bits = kind(draw)
    return text, math.log2(len(KINDS)) + bits, kind.__name__


def make() -> dict[str, str]:
    """All files of the corpus but its README: name to content."""
    files, sums = {}, []
    for split, number in LINES.items():
        text, rows = "", ["index\toffset\tlength\tbits\tkind\n"]
        for index in range(number):
            made, bits, kind = line(split, index)
            rows.append(f"{index}\t{len(text)}\t{len(made)}\t{bits:.6f}\t{kind}\n")
            text += made + "\n"
        files[f"{split}.txt"] = text
        if split not in MEASURED:
            continue
        files[f"bits/{split}.tsv"] = "".join(rows)
        sums.append(f"{hashlib.sha256(text.encode()).hexdigest()}  {split}.txt\n")
    files["bits/SHA256SUMS"] = "".join(sums)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare the files with the generator")
    wrong = 0
    check = parser.parse_args().check
    for name, content in make().items():
        path = FOLDER / name
        if check:
            same = path.exists() and path.read_bytes() == content.encode()
            wrong += not same
            print("same   " if same else "DIFFERS", name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode())
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
