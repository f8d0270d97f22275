"""What `auto` becomes for the streams and windows of a step."""

import math
from collections.abc import Iterator
from typing import Any

from charlm.config import Config
from charlm.settings import AUTO

# (streams, steps in time), for about a thousand tokens a step (scripts/LOG.md, "Windows"). What
# stands beside a letter in n-grams need not be learned through time, so that windows pay which
# see a sentence or two; words see as far in half of that.
_LETTERS, _LONG = (16, 64), (32, 32)
# From so many tokens on there are updates enough, and longer windows are worth more than they are;
# twice the streams are computed a fifth faster.
_MANY_TOKENS, _MANY_LETTERS, _MANY_WORDS = 8e6, (32, 128), (64, 32)
_TOKENS_A_STREAM = 512


def supposed_streams(config: Config) -> int:
    """Streams that are given, or those of long runs: what is tried before it is known how much can
    be read. Wide layers are computed much slower with fewer."""
    given = config.optimisation.batch_size
    if given != AUTO:
        return int(given)
    return (_MANY_LETTERS if _letters(config) else _MANY_WORDS)[0]


def _letters(config: Config) -> bool:
    return config.tokenizer.tokenizer in ("char", "byte")


def batch_choices(
    config: Config, tokens: int, expected: float | None
) -> Iterator[tuple[str, Any, str]]:
    """Each setting with its value, for a text of `tokens`, and the reason.

    expected: tokens that the budget allows to read, None where it is given in steps.
    """
    letters = _letters(config)
    streams, window = _LETTERS if letters else _LONG
    reason = "windows of a sentence or two" if letters else "short windows, many updates"
    if expected is not None and expected > _MANY_TOKENS:
        streams, window = _MANY_LETTERS if letters else _MANY_WORDS
        reason = "updates there are enough of, so windows see further" if letters else reason
    # Each stream should hold several windows, or hardly any state is ever carried.
    streams = 2 ** int(math.log2(min(streams, max(1, tokens / _TOKENS_A_STREAM))))
    yield "optimisation.batch_size", streams, f"{tokens:,} tokens to train on"
    given = config.optimisation.batch_size
    taken = streams if given == AUTO else given
    yield "optimisation.bptt", max(1, min(window, tokens // (2 * taken))), reason


def fit_to_text(config: Config, tokens: int) -> Config:
    """Fewer streams and steps where the text has too few tokens for a single window."""
    batch, bptt = config.optimisation.batch_size, config.optimisation.bptt
    if AUTO in (batch, bptt) or tokens >= batch * bptt:
        return config
    streams = max(1, tokens // bptt)
    return config.with_values(
        {
            "optimisation.batch_size": streams,
            "optimisation.bptt": min(bptt, tokens // streams),
        }
    )
