"""A text as counts of n-grams see it: tokens, with what stands before them in their document."""

from collections.abc import Iterator, Sequence

import numpy as np

from charlm.model.count_mixture import CountMixture
from charlm.text.tokenizers.base import Grammar

# Of KneserNey.chances: tokens (T,), the automaton's states (T,), and what is before them.
Span = tuple[np.ndarray, np.ndarray, np.ndarray]
_BEFORE = 64  # tokens: more than the longest n-grams have


class CountedText:
    """ids (N,) of a text whose documents begin at the places `documents`."""

    def __init__(
        self, grammar: Grammar, boundary_id: int, ids: np.ndarray, documents: np.ndarray
    ) -> None:
        self._grammar, self._boundary = grammar, np.array([boundary_id])
        self._ids, self._documents = ids, documents

    def spans(self, begin: int, end: int) -> Iterator[Span]:
        """The tokens begin ... end-1 in order, those of each document by themselves."""
        first = int(np.searchsorted(self._documents, begin, side="right")) - 1
        starts = self._documents[first : np.searchsorted(self._documents, end)].tolist()
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            a, b = max(start, begin), min(stop, end)
            before = self._ids[max(start, a - _BEFORE) : a]
            if a - _BEFORE < start:
                before = np.concatenate([self._boundary, before])
            state = 0 if a == start else self._grammar.state_before(self._ids, a)
            yield self._ids[a:b], self._grammar.states(self._ids[a:b], state), before

    def mixed(self, mixtures: Sequence[CountMixture], begin: int, nats: np.ndarray) -> np.ndarray:
        """-log p of the tokens from `begin` on, of which a network says `nats` (T,), by the
        mixture of both; of several mixtures each is for its share of the text, in their order."""
        found, place, N = [], 0, len(self._ids)
        for number, mixture in enumerate(mixtures):
            first, last = number * N // len(mixtures), (number + 1) * N // len(mixtures)
            a, b = max(first, begin), min(last, begin + len(nats))
            for tokens, states, before in self.spans(a, b) if a < b else ():
                part = nats[place : place + len(tokens)]
                found.append(mixture.nats(part, tokens, states, before))
                place += len(tokens)
        return np.concatenate(found)
