"""What a measurement is reported as, so that runs with different tokenizers compare.

    perplexity          exp(nats / tokens)
    bits_per_character  bits / code points           bits = nats / ln 2
    bits_per_byte       bits / UTF-8 bytes
    word_perplexity     exp(nats / (whitespace-separated words + line breaks))

All N tokens of the text are in the numerator, and all of its characters, bytes, words and
line breaks in the denominators, whatever the tokenizer.
"""

import math
from dataclasses import dataclass

from charlm.text.counts import TextCounts


@dataclass(frozen=True)
class Figures:
    """All nats that a model charged for a text of `tokens` tokens and these counts."""

    nats: float
    tokens: int
    counts: TextCounts

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def bits_per_character(self) -> float:
        return self.nats / math.log(2) / self.counts.characters

    def as_dict(self) -> dict[str, float | int | None]:
        """The keys of `charlm evaluate --json`."""
        counts, bits = self.counts, self.nats / math.log(2)
        return {
            "tokens": self.tokens,
            "characters": counts.characters,
            "bytes": counts.bytes,
            "words": counts.words,
            "nats_per_token": self.nats_per_token,
            "perplexity": _exp(self.nats_per_token),
            "bits_per_character": bits / counts.characters,
            "bits_per_byte": bits / counts.bytes,
            "word_perplexity": _exp(self.nats / (counts.words + counts.line_breaks or 1)),
            "oov_rate": 0.0,
        }


def _exp(nats: float) -> float | None:
    """exp, or None where it is too large for a float."""
    return math.exp(nats) if nats < 700 else None
