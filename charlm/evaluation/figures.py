"""What a measurement is reported as, so that runs with different tokenizers compare.

    perplexity          exp(nats / tokens)
    bits_per_character  bits / code points           bits = nats / ln 2
    bits_per_byte       bits / UTF-8 bytes
    word_perplexity     exp(nats / (whitespace-separated words + line breaks))

All N tokens of the text are in the numerator, and all of its characters, bytes, words and
line breaks in the denominators, whatever the tokenizer. Characters and bytes are those of the
text as it was, before --lowercase. Where words are unknown (--word-oov unk) nobody was charged
for spelling them, and there are no bits per character or byte.

Where the bits are known that the source of the text itself needs for it, they are the limit:

    limit.bits_per_character  bits of the source / code points
    limit.gap                 bits of the model / bits of the source - 1
"""

import math
from dataclasses import dataclass
from typing import Any

from charlm.text.counts import TextCounts


@dataclass(frozen=True)
class Figures:
    """All nats that a model charged for a text of `tokens` tokens and these counts.

    `unknown` of the tokens stand for unknown words. Counts of no character: they are not known.
    `source_bits`: what the source of the text needs for all of it, where that is known.
    """

    nats: float
    tokens: int
    counts: TextCounts
    unknown: int = 0
    source_bits: float | None = None

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def bits_per_character(self) -> float | None:
        return self._bits_per(self.counts.characters)

    def _bits_per(self, count: int) -> float | None:
        return None if self.unknown or not count else self.nats / math.log(2) / count

    def as_dict(self) -> dict[str, Any]:
        """The keys of `charlm evaluate --json`."""
        counts = self.counts
        words = self.tokens - counts.line_breaks  # of a tokenizer that has unknown ones
        found: dict[str, Any] = {
            "tokens": self.tokens,
            "characters": counts.characters or None,
            "bytes": counts.bytes or None,
            "words": counts.words,
            "nats_per_token": self.nats_per_token,
            "perplexity": _exp(self.nats_per_token),
            "bits_per_character": self.bits_per_character,
            "bits_per_byte": self._bits_per(counts.bytes),
            "word_perplexity": _exp(self.nats / (counts.words + counts.line_breaks or 1)),
            "oov_rate": self.unknown / words if self.unknown else 0.0,
        }
        if self.source_bits and counts.characters:
            found["limit"] = {
                "bits_per_character": self.source_bits / counts.characters,
                "gap": self.nats / math.log(2) / self.source_bits - 1,
            }
        return found


def _exp(nats: float) -> float | None:
    """exp, or None where it is too large for a float."""
    return math.exp(nats) if nats < 700 else None
