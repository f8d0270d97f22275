"""Samples of one prompt, drawn side by side and given out one after the other.

Each stream draws from numbers of its own (`sampling.Sampler`) and its products do not depend on
the streams beside it, so a sample is the same whatever number is asked for. Where the settings
leave nothing between the model and the draw but a temperature, a compiled decoder draws many
tokens at once; with other filters it takes a step, and they choose, token by token.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from charlm.generation.compiled import CompiledDecoder, Rules
from charlm.generation.context import Context, rows_of
from charlm.generation.filters import legal_only, pipeline
from charlm.generation.sampling import Sampler, negative_log_probability
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.generation.writing import Piece, Writing
from charlm.registry import LOGIT_FILTERS

_BLOCK = 32  # tokens drawn at once; the first ones alone, so that the first text comes at once


class _Stream:
    """One sample on its way."""

    def __init__(self, context: Context, writing: Writing, sampler: Sampler) -> None:
        self.writing, self.sampler = writing, sampler
        self.history = list(context.ids)
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

    def pieces(self) -> Iterator[Piece]:
        """What can be given out; the sample itself once it is finished."""
        text = "".join(self._text)
        self._text.clear()
        if text:
            yield Piece(text)
        if not self.writing.goes_on:
            tail = self.writing.finish()
            yield Piece(tail, self.writing.sample(self._nats))


def draw(
    context: Context, writing: Writing, settings: GenerationSettings, samples: range
) -> Iterator[Piece]:
    """The samples of these numbers, in order; `writing` has no token yet."""
    together = context.decoder.together
    for begin in range(0, len(samples), together):
        streams = [
            _Stream(context, writing.fork(), Sampler(settings.seed, number))
            for number in samples[begin : begin + together]
        ]
        yield from _side_by_side(context, streams, settings)


def _side_by_side(
    context: Context, streams: list[_Stream], settings: GenerationSettings
) -> Iterator[Piece]:
    steps = _steps(context, streams, settings)
    rows = list(range(len(streams)))
    state = context.state
    if len(streams) > 1:
        state = rows_of(state, np.zeros(len(streams), np.intp))
    shown = 0
    while shown < len(streams):
        on = [place for place, row in enumerate(rows) if streams[row].goes_on]
        if on:
            if len(on) < len(rows):
                rows, state = [rows[place] for place in on], rows_of(state, np.array(on))
            state = steps(state, [streams[row] for row in rows])
        yield from streams[shown].pieces()
        while shown < len(streams) and not streams[shown].goes_on:
            shown += 1
            if shown < len(streams):
                yield from streams[shown].pieces()


def _steps(context: Context, streams: Sequence[_Stream], settings: GenerationSettings) -> Any:
    """(state, streams) -> state, once each of them has taken a token or more."""
    heat = _temperature_alone(settings.sampling)
    if isinstance(context.decoder, CompiledDecoder) and heat is not None:
        rules = Rules(context.tokenizer.grammar, streams[0].writing.openings)
        return _Blocks(context.decoder, rules, heat)
    return _Filtered(context, settings)


def _temperature_alone(sampling: SamplingSettings) -> float | None:
    """The temperature, where it is the only filter in use."""
    used = {name for name in LOGIT_FILTERS if getattr(sampling, name) is not None}
    if used != {"temperature"}:
        return None
    return 0.0 if sampling.greedy else float(sampling.temperature)


class _Blocks:
    """Many tokens at once, drawn where the model is computed."""

    def __init__(self, decoder: CompiledDecoder, rules: Rules, heat: float) -> None:
        self._decoder, self._rules, self._heat = decoder, rules, heat
        self._length = 1

    def __call__(self, state: Any, streams: Sequence[_Stream]) -> Any:
        wanted = max(stream.writing.wanted for stream in streams)
        length = min(self._length, wanted)
        self._length = min(2 * self._length, _BLOCK)
        spelling = np.array(
            [
                stream.writing.spelling if stream.writing.tokens else self._rules.first
                for stream in streams
            ],
            np.uint8,
        )
        uniforms = np.stack([stream.sampler.uniforms(length) for stream in streams], axis=1)
        ids, nats, state = self._decoder.write(state, self._rules, spelling, uniforms, self._heat)
        for place, stream in enumerate(streams):
            stream.take(ids[:, place].tolist(), nats[:, place].tolist())
        return state


class _Filtered:
    """A token at a time, chosen by all the filters."""

    def __init__(self, context: Context, settings: GenerationSettings) -> None:
        self._decoder, self._filters = context.decoder, pipeline(settings.sampling)

    def __call__(self, state: Any, streams: Sequence[_Stream]) -> Any:
        expected = self._decoder.logits(state).astype(np.float64)  # (N, V)
        chosen = []
        for row, stream in zip(expected, streams, strict=True):
            logits = legal_only(row, stream.writing.drawable)
            token = stream.sampler.draw(self._filters(logits, stream.history))
            stream.take([token], [negative_log_probability(logits, token)])
            chosen.append(token)
        return self._decoder.advance(chosen, state)
