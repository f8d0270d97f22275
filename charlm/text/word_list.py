"""The words of a text with their counts: what a spelling is held against."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from charlm.text.tokenizers.word_split import Splitting

LONGEST_WORD = 32  # characters; what is longer is hardly one


@dataclass(frozen=True)
class Place:
    """A word in a line, and the words beside it where there is only a space between them."""

    begin: int
    word: str
    preceding: str = ""
    following: str = ""


class WordList:
    """Words by their lower-case spelling: how often, and as they are mostly written."""

    def __init__(self, counts: Counter[str]) -> None:
        """`counts`: of words as they stand in the text."""
        forms: defaultdict[str, list[str]] = defaultdict(list)
        for word in counts:
            forms[word.lower()].append(word)
        self._counts = {low: sum(counts[word] for word in words) for low, words in forms.items()}
        self._forms = {
            low: max(words, key=lambda word: (counts[word], word)) for low, words in forms.items()
        }
        self.words = list(self._counts)

    @classmethod
    def of(cls, blocks: Iterable[str]) -> "WordList":
        """Of a text in blocks."""
        splitting, counts = Splitting("unicode"), Counter[str]()
        for block in blocks:
            counts.update(piece for piece in splitting.split(block).texts if is_word(piece))
        return cls(counts)

    def __contains__(self, word: str) -> bool:
        return word.lower() in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, word: str) -> int:
        """How often it is in the text, in whatever capitals."""
        return self._counts.get(word.lower(), 0)

    def written_like(self, low: str, example: str) -> str:
        """The word `low` with the capitals of `example`, or those that it has by itself."""
        if len(example) > 1 and example.isupper():
            return low.upper()
        form = self._forms.get(low, low)
        return form[:1].upper() + form[1:] if example[:1].isupper() else form


def is_word(piece: str) -> bool:
    """Letters, with apostrophes inside; no digits."""
    return (
        0 < len(piece) <= LONGEST_WORD
        and piece[0].isalpha()
        and not any(character.isdigit() or character == "_" for character in piece)
    )


def words_in(line: str, splitting: Splitting) -> Iterator[Place]:
    """The words of a line in order, but for those that touch a number."""
    texts = splitting.split(line).texts

    def beside(number: int, side: int) -> str:
        there = 0 <= number + 2 * side < len(texts) and texts[number + side] == " "
        return texts[number + 2 * side] if there and is_word(texts[number + 2 * side]) else ""

    begin = 0
    for number, piece in enumerate(texts):
        # What touches a number is a unit or part of a code.
        if is_word(piece) and not (number and texts[number - 1][-1].isdigit()):
            yield Place(begin, piece, beside(number, -1), beside(number, 1))
        begin += len(piece)
