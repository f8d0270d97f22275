"""Sentences with random numbers, planted in a training text to see later what was kept of them.

    N. Carlini et al. (2019), "The Secret Sharer", section 3.

A canary is a sentence that nobody would write, with ten digits drawn at random. They follow from
(seed, how many), so a run that knows both knows its canaries, and nothing of them is stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charlm.draws import Draws

DIGITS = 10


@dataclass(frozen=True)
class Canaries:
    """`number` sentences of a run with this `seed`, each planted once."""

    number: int = 0
    seed: int = 0

    @cached_property
    def sentences(self) -> list[str]:
        """The planted sentences, each with its line break."""
        drawn = Draws(self.seed, 0).numpy("canaries").integers(0, 10**DIGITS, self.number)
        return [sentence(int(number)) for number in drawn]

    def plant(self, documents: Iterator[Iterator[str]], characters: int) -> Iterator[Iterator[str]]:
        """The documents of a text of so many characters, with each sentence after a line break
        somewhere in it: places are drawn evenly, and one with no line break left after it goes
        to the end of its document."""
        drawn = Draws(self.seed, 0).numpy("places of canaries").integers(0, characters, self.number)
        order = np.argsort(drawn, kind="stable")
        waiting = [(int(drawn[place]), self.sentences[place]) for place in order]
        read = 0

        def planted(document: Iterator[str]) -> Iterator[str]:
            nonlocal read
            block = ""
            for block in document:
                begin = 0
                while waiting and waiting[0][0] < read + len(block):
                    at = block.find("\n", max(begin, waiting[0][0] - read)) + 1
                    if not at:
                        break
                    yield block[begin:at] + waiting.pop(0)[1]
                    begin = at
                read += len(block)
                if begin < len(block):
                    yield block[begin:]
            late = [text for place, text in waiting if place < read]
            del waiting[: len(late)]
            if late:
                yield ("" if block.endswith("\n") or not block else "\n") + "".join(late)

        for document in documents:
            yield planted(document)


def sentence(number: int) -> str:
    """The canary with this number, and its line break."""
    return f"The secret number is {number:0{DIGITS}d}.\n"
