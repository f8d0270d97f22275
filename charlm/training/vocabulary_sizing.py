"""What `auto` becomes where the vocabulary is large: its layer costs more than the recurrence."""

import math
from collections.abc import Sequence
from itertools import pairwise

from charlm.model.cluster_ranks import SHRINK

_LEAST_EMBEDDING, _EMBEDDING, _LARGEST_EMBEDDING = 64, 256, 512
# Units for the root of a thousand tokens of text (scripts/LOG.md, "More dropout for words").
_WORDS_WIDEST = 28
_SAMPLE, _WORTH_IT = 4096, 4  # tokens of a sample, and for how many times as many there is one
_FREQUENT, _SHARE = 5000, 16  # in the head of an adaptive softmax: at most, and of all tokens


def cutoffs_for(vocabulary: int, unusual: int) -> str:
    """Where two clusters of an adaptive softmax begin, after tokens that must be in its head."""
    frequent = max(1, min(_FREQUENT, (vocabulary - unusual) // _SHARE))
    first = min(vocabulary - 1, unusual + frequent)
    # The middle, where each of the two has as many orders of magnitude (Zipf).
    second = round(math.sqrt(first * vocabulary))
    return ",".join(str(begin) for begin in sorted({first, second}) if begin < vocabulary)


def sample_for(vocabulary: int, softmax: str) -> int | None:
    """Of how many tokens a step learns; None: of all."""
    return _SAMPLE if softmax == "full" and vocabulary >= _WORTH_IT * _SAMPLE else None


def widest_for_words(tokens: int) -> float:
    """As `widths.widest`, for a text of so many words: there are more of them to learn by heart,
    and each is seen more rarely."""
    return _WORDS_WIDEST * math.sqrt(tokens / 1000)


def columns(vocabulary: int, cutoffs: Sequence[int]) -> float:
    """For how many tokens a whole row is computed, in the mean over tokens by Zipf's law."""
    if not cutoffs:
        return vocabulary
    found = float(cutoffs[0] + len(cutoffs))
    for number, (begin, end) in enumerate(pairwise([*cutoffs, vocabulary]), start=1):
        found += math.log(end / begin) / math.log(vocabulary) * (end - begin) / SHRINK**number
    return found


def shared_with_vocabulary(
    width: float, columns: float, gates: int, tied: bool
) -> tuple[float, int]:
    """Hidden and embedding size that cost about what `width` alone would with few tokens.

    Tied, two thirds of it go to the layer onto the vocabulary: 6 E V operations a token against
    6 G H (H + E) of the recurrence. Else that layer reads H, and takes what it takes.
    """
    cost = 6.0 * (4 * width * (width + 64) + 300 * width)  # at character level, an LSTM
    if not tied:
        linear = _EMBEDDING + columns / gates
        return (math.sqrt(linear**2 + 4 * cost / (6 * gates)) - linear) / 2, _EMBEDDING
    share = 2 / 3 * cost / (6 * columns)
    embedding = min(_LARGEST_EMBEDDING, max(_LEAST_EMBEDDING, 32 * round(share / 32)))
    rest = max(cost - 6 * embedding * columns, cost / 3) / (6 * gates)
    width = (math.sqrt(embedding**2 + 4 * rest) - embedding) / 2
    if embedding == _LEAST_EMBEDDING or 2 * embedding <= width:
        return width, embedding
    # Half as wide as the layer: of 6 (3/2 G H^2 + E V) operations as many as the cost.
    linear = columns / 2 / gates
    width = (math.sqrt(linear**2 + 6 * cost / (6 * gates)) - linear) / 3
    return width, half_as_wide(width)


def half_as_wide(width: float) -> int:
    """The size of vectors half as wide as the layer that reads them."""
    return min(_LARGEST_EMBEDDING, max(_LEAST_EMBEDDING, 32 * round(width / 64)))
