"""What `auto` becomes for n-grams beside a token (`model.ngrams`)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from charlm.config import Config
from charlm.model.cells.base import make_cell
from charlm.settings import AUTO

# The last seven characters mostly tell which word it is; words and pieces are known already.
_LONGEST = {"char": 7, "byte": 7}
# What follows an n-gram that occurs once is learned by heart, more with each pass. Passes times the
# share of such n-grams may come to this: 1.9 over Tiny Shakespeare, where 0.27 of those of seven
# letters occur once; shorter ones did not pay where those lost (scripts/LOG.md, "How often").
_MOST_LEARNED_BY_HEART = 0.5
_TOKENS_A_ROW = 16
_FEWEST_ROWS, _MOST_ROWS = 2**10, 2**19
# In one pass over Tiny Shakespeare (scripts/LOG.md); in several they would learn it by heart.
_RATE = 0.03


def ngram_choices(
    config: Config,
    tokens: int,
    passes: float,
    lr_ratio: float,
    seen_once: Callable[[int], float],
) -> Iterator[tuple[str, Any, str]]:
    """Each setting with its value for a text of `tokens` read so many times, and the reason.

    lr_ratio: the learning rate of all else, against the usual one. seen_once: the share of n-grams
    of so many tokens that occur once in the text.
    """
    m, kind = config.model, config.tokenizer.tokenizer
    longest = _LONGEST.get(kind, 1)
    if not make_cell(m.cell).gated:
        order, why = 1, "a plain network shows what it can do alone"
    else:
        order, why = longest, f"of {kind} tokens" if longest > 1 else "tokens are long already"
        asked = m.ngram_order == AUTO and longest > 1  # else there is nothing to count for
        if asked and _learned_by_heart(passes, lambda: seen_once(longest)):
            order, why = 1, f"in {passes:.1f} passes they would be learned by heart"
    if order == 1 and (m.ngram_rows not in (AUTO, 1) or config.optimisation.ngram_lr != AUTO):
        order, why = 2, "their settings are given"
    yield "model.ngram_order", order, why
    if (order if m.ngram_order == AUTO else m.ngram_order) == 1:
        yield "model.ngram_rows", 1, "there are no n-grams"
        return
    wanted = 2 ** round(math.log2(max(1, tokens / _TOKENS_A_ROW)))
    rows = min(max(wanted, _FEWEST_ROWS), _MOST_ROWS)
    yield "model.ngram_rows", rows, f"{tokens:,} tokens to train on"
    rate = float(f"{_RATE * lr_ratio / max(1.0, passes):.2g}")
    yield "optimisation.ngram_lr", rate, f"about {passes:.1f} passes over the text are expected"


def _learned_by_heart(passes: float, share: Callable[[], float]) -> bool:
    """Whether so many are, when `share` of them occur once; not counted where it cannot matter."""
    return passes > _MOST_LEARNED_BY_HEART and passes * share() > _MOST_LEARNED_BY_HEART
