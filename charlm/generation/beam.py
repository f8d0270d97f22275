"""Beam search: the most probable continuations that can be found without drawing.

The N places of the beam are held by texts that go on and texts that have ended alike, those of
the fewest nats a token: nats = -sum log p under the model's own distribution over what may
be written. Each step puts every such token after every text that goes on; the search is over
when none of the N does.

Among texts of equally many tokens the fewest nats a token are the greatest probability. Texts
that a stop text ends have fewer than those that go on; their probabilities themselves would not
compare, as each token makes a text less probable, so that the shortest end would always win.
(The same normalisation as Wu et al. 2016, eq. 14, with alpha = 1 and no constant.)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.generation.context import Context, rows_of
from charlm.generation.filters import legal_only, log_probabilities
from charlm.generation.writing import Sample, Writing


@dataclass(frozen=True)
class _Text:
    """A continuation, whole or not yet."""

    writing: Writing
    nats: float  # of all its tokens

    @property
    def nats_per_token(self) -> float:
        return self.nats / max(1, self.writing.tokens)


def search(context: Context, writing: Writing, width: int) -> list[Sample]:
    """The `width` best texts that `writing`, which has no token yet, can become, best first.

    Fewer where there are not so many. Two of them may read the same, made of different tokens.
    Nothing is drawn, and of equals the lower ids come first: a search finds what it found before.
    """
    first = _Text(writing, 0.0)
    going, ended = ([first], []) if writing.goes_on else ([], [first])
    state, steps = context.state, 0
    while going:
        steps += 1
        nats = _nats(context, state, going)  # (texts that go on, V)
        best = _least(nats, width)
        means = [text.nats_per_token for text in ended] + [nats.flat[at] / steps for at in best]
        kept = sorted(range(len(means)), key=means.__getitem__)[:width]
        grown_at = np.array([best[at - len(ended)] for at in kept if at >= len(ended)], np.intp)
        ended = [ended[at] for at in kept if at < len(ended)]
        rows, tokens = np.divmod(grown_at, nats.shape[1])
        grown = _grown(going, rows.tolist(), tokens.tolist(), nats)
        going = [text for text in grown if text.writing.goes_on]
        ended += [text for text in grown if not text.writing.goes_on]
        if going:
            on = np.array([text.writing.goes_on for text in grown])
            state = context.decoder.advance(tokens[on], rows_of(state, rows[on]))
    ended.sort(key=lambda text: text.nats_per_token)
    for text in ended:
        text.writing.finish()
    return [text.writing.sample(text.nats) for text in ended]


def _nats(context: Context, state: Any, texts: Sequence[_Text]) -> npt.NDArray[np.float64]:
    """What each text costs with each token after it; infinite where that may not be written."""
    drawable = np.array([text.writing.drawable for text in texts])
    logits = legal_only(context.decoder.logits(state).astype(np.float64), drawable)
    before = np.array([text.nats for text in texts])
    return before[:, None] - log_probabilities(logits)


def _least(nats: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.intp]:
    """Where the `count` least of all finite numbers lie, counted row by row, the least first."""
    flat = nats.ravel()
    bound = np.partition(flat, count - 1)[count - 1] if count < flat.size else np.inf
    places = np.flatnonzero((flat <= bound) & np.isfinite(flat))
    return places[flat[places].argsort(kind="stable")][:count]


def _grown(
    texts: Sequence[_Text], rows: list[int], tokens: list[int], nats: npt.NDArray[np.float64]
) -> list[_Text]:
    """Each of the texts in `rows` with its token; the last one of a text needs no copy of it."""
    uses = Counter(rows)
    grown = []
    for row, token in zip(rows, tokens, strict=True):
        uses[row] -= 1
        writing = texts[row].writing.fork() if uses[row] else texts[row].writing
        writing.feed(token)
        grown.append(_Text(writing, float(nats[row, token])))
    return grown
