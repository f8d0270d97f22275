"""Samples of one prompt or several, drawn side by side and given out one after the other.

Each stream draws from numbers of its own (`sampling.Sampler`) and its products do not depend on
the streams beside it, so a sample is the same whatever number is asked for. Where its loop knows
all filters that are asked for (`native.choice`), a compiled decoder draws many tokens at once; else
it takes a step, and they choose, token by token.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from charlm.generation.compiled import CompiledDecoder, Rules
from charlm.generation.context import Context, StepDecoder
from charlm.generation.filters import REPETITION_WINDOW, legal_only, pipeline
from charlm.generation.native.choice import known
from charlm.generation.sampling import Sampler, negative_log_probability
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.generation.writing import Piece, Writing

_BLOCK = 32  # tokens drawn at once; the first ones alone, so that the first text comes at once


class _Stream:
    """One sample on its way."""

    def __init__(self, context: Context, writing: Writing, sampler: Sampler) -> None:
        self.context, self.writing, self.sampler = context, writing, sampler
        self.history = list(context.ids)  # as far back as a filter looks, and a little more
        self._nats = 0.0
        self._text: list[str] = []  # not given out yet

    @property
    def goes_on(self) -> bool:
        return self.writing.goes_on

    def take(self, tokens: Sequence[int], nats: Sequence[float]) -> None:
        """Add drawn tokens with their costs, as far as the sample needs them."""
        for token, cost in zip(tokens, nats, strict=True):
            if not self.writing.goes_on:
                return
            self._nats += cost
            self.history.append(token)
            self._text.append(self.writing.feed(token))
        if len(self.history) > 2 * REPETITION_WINDOW:
            del self.history[:-REPETITION_WINDOW]

    def pieces(self) -> Iterator[Piece]:
        """What can be given out; the sample itself once it is finished."""
        text, prompt = "".join(self._text), self.context.prompt
        self._text.clear()
        if text:
            yield Piece(text, prompt)
        if not self.writing.goes_on:
            tail = self.writing.finish()
            yield Piece(tail, prompt, self.writing.sample(self._nats))


def draw(
    beginnings: Iterable[tuple[Context, Writing]], settings: GenerationSettings, samples: range
) -> Iterator[Piece]:
    """The samples of these numbers that each beginning has, in order; no writing has a token yet.

    All contexts are of one decoder and one tokenizer.
    """
    waiting = (
        _Stream(context, writing.fork(), Sampler(settings.seed, number))
        for context, writing in beginnings
        for number in samples
    )
    for first in waiting:
        others = islice(waiting, first.context.decoder.together - 1)
        yield from _side_by_side([first, *others], settings)


def _side_by_side(streams: list[_Stream], settings: GenerationSettings) -> Iterator[Piece]:
    steps = _steps(streams, settings)
    going, state = streams, streams[0].context.state
    if len(streams) > 1:
        state = np.concatenate([stream.context.state for stream in streams])
    shown = 0
    while shown < len(streams):
        on = [place for place, stream in enumerate(going) if stream.goes_on]
        if on:
            if len(on) < len(going):
                going, state = [going[place] for place in on], state[np.array(on)]
            state = steps(state, going)
        yield from streams[shown].pieces()
        while shown < len(streams) and not streams[shown].goes_on:
            shown += 1
            if shown < len(streams):
                yield from streams[shown].pieces()


def _steps(
    streams: Sequence[_Stream], settings: GenerationSettings
) -> Callable[[Any, Sequence[_Stream]], Any]:
    """(state, streams) -> state, once each of them has taken a token or more."""
    decoder = streams[0].context.decoder
    if isinstance(decoder, CompiledDecoder) and known(settings.sampling):
        return _Blocks(decoder, streams, settings.sampling)
    return _Filtered(decoder, settings)


class _Blocks:
    """Many tokens at once, drawn where the model is computed."""

    def __init__(
        self, decoder: CompiledDecoder, streams: Sequence[_Stream], sampling: SamplingSettings
    ) -> None:
        self._decoder, self._sampling, self._length = decoder, sampling, 1
        openings = {id(stream.writing.openings): stream.writing.openings for stream in streams}
        self._rules = Rules(streams[0].context.tokenizer.grammar, list(openings.values()))
        self._first = dict(zip(openings, self._rules.first, strict=True))

    def __call__(self, state: Any, streams: Sequence[_Stream]) -> Any:
        wanted = max(stream.writing.wanted for stream in streams)
        length = min(self._length, wanted)
        self._length = min(2 * self._length, _BLOCK)
        spelling = np.array(
            [
                stream.writing.spelling
                if stream.writing.tokens
                else self._first[id(stream.writing.openings)]
                for stream in streams
            ],
            np.uint8,
        )
        uniforms = np.stack([stream.sampler.uniforms(length) for stream in streams], axis=1)
        ids, nats, state = self._decoder.write(
            state, self._rules, spelling, uniforms, self._sampling
        )
        for place, stream in enumerate(streams):
            stream.take(ids[:, place].tolist(), nats[:, place].tolist())
        return state


class _Filtered:
    """A token at a time, chosen by all the filters."""

    def __init__(self, decoder: StepDecoder, settings: GenerationSettings) -> None:
        self._decoder, self._filters = decoder, pipeline(settings.sampling)

    def __call__(self, state: Any, streams: Sequence[_Stream]) -> Any:
        expected = self._decoder.logits(state).astype(np.float64)  # (N, V)
        chosen = []
        for row, stream in zip(expected, streams, strict=True):
            logits = legal_only(row, stream.writing.drawable)
            token = stream.sampler.draw(self._filters(logits, stream.history))
            stream.take([token], [negative_log_probability(logits, token)])
            chosen.append(token)
        return self._decoder.advance(chosen, state)
