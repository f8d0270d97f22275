"""A prompt in, new text out, piece by piece.

The context is the empty state after one unscored boundary token and the prompt. Every sample
is computed as a stream of its own: matrix products of one row and of several round
differently, and a sample must be the same whatever stands beside it. (Eight streams at once
would be about twice as fast at 512 hidden units.) Samples of one prompt share its reading.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charlm.generation.filters import legal_only, pipeline
from charlm.generation.sampling import Sampler, negative_log_probability
from charlm.generation.settings import GenerationSettings
from charlm.generation.stopping import StopHolder
from charlm.text.tokenizers.base import Tokenizer

FREE = 0  # the grammar's state between characters
FINISHING = 4  # a spelled character that --length cuts gets up to four more tokens: its bytes


class StepDecoder(Protocol):
    """A model that reads a token at a time (`decoder.Decoder`)."""

    def empty_state(self, streams: int) -> Any: ...

    def advance(self, ids: Iterable[int], state: Any) -> Any: ...

    def logits(self, state: Any) -> npt.NDArray[np.floating[Any]]: ...


@dataclass(frozen=True)
class Sample:
    """One finished text, without its prompt.

    `tokens` counts what was drawn, a stop text and what was cut off included;
    `nats_per_token` is the mean of -log p under the model's own distribution over the legal
    tokens, whatever the filters did, and None where nothing was drawn; `finish` is "stop"
    or "length".
    """

    prompt: str
    text: str
    tokens: int
    nats_per_token: float | None
    finish: str


@dataclass(frozen=True)
class Piece:
    """The next bit of text; the last one of a sample carries its `sample`."""

    text: str
    sample: Sample | None = None


@dataclass(frozen=True)
class _Context:
    """A prompt that has been read."""

    prompt: str
    history: Sequence[int]
    state: Any
    spelling: int  # the grammar's state


def generate(
    decoder: StepDecoder,
    tokenizer: Tokenizer,
    prompt: str,
    settings: GenerationSettings,
    sample_index: int = 0,
) -> Iterator[Piece]:
    """Sample number `sample_index` that follows `prompt`, as it is written.

    A sample depends on (model, prompt, settings, sample_index) alone. In tokens, a length
    that ends inside a spelled character goes on for at most FINISHING tokens until it is
    complete, and drops it otherwise. DataError: a prompt that no UTF-8 text can hold.
    """
    yield from _write(decoder, tokenizer, _read(decoder, tokenizer, prompt), settings, sample_index)


def generate_many(
    decoder: StepDecoder,
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    settings: GenerationSettings,
) -> Iterator[Piece]:
    """`settings.num_samples` samples of each prompt, one after the other in order.

    Sample i of a prompt is bit for bit what `generate` gives for it alone.
    """
    for prompt in prompts:
        context = _read(decoder, tokenizer, prompt)
        for sample_index in range(settings.num_samples):
            yield from _write(decoder, tokenizer, context, settings, sample_index)


def _read(decoder: StepDecoder, tokenizer: Tokenizer, prompt: str) -> _Context:
    history = [tokenizer.boundary_id, *tokenizer.encode(prompt).tolist()]
    state, spelling = decoder.empty_state(1), FREE
    for token in history:
        state = decoder.advance([token], state)
        spelling = int(tokenizer.grammar.next_state[spelling, token])
    return _Context(prompt, history, state, spelling)


def _write(
    decoder: StepDecoder,
    tokenizer: Tokenizer,
    context: _Context,
    settings: GenerationSettings,
    sample_index: int,
) -> Iterator[Piece]:
    grammar, stream, holder = tokenizer.grammar, tokenizer.stream(), StopHolder(settings.stop)
    filters, sampler = pipeline(settings.sampling), Sampler(settings.seed, sample_index)
    history, state, spelling = list(context.history), context.state, context.spelling
    in_characters = settings.length_unit == "characters"
    text: list[str] = []
    tokens, characters, nats = 0, 0, 0.0

    def goes_on() -> bool:
        if in_characters:
            return characters < settings.length
        return tokens < settings.length + (FINISHING if spelling != FREE else 0)

    def let_through(piece: str) -> str:
        nonlocal characters
        if in_characters:
            piece = piece[: settings.length - characters]
        characters += len(piece)
        return holder.feed(piece)

    while goes_on() and not holder.stopped:
        logits = legal_only(decoder.logits(state)[0].astype(np.float64), grammar.legal[spelling])
        token = sampler.draw(filters(logits, history))
        nats += negative_log_probability(logits, token)
        tokens += 1
        history.append(token)
        state = decoder.advance([token], state)
        spelling = int(grammar.next_state[spelling, token])
        if piece := let_through(stream.feed(token)):
            text.append(piece)
            yield Piece(piece)

    # A stream in the middle of a character would answer with U+FFFD.
    tail = let_through(stream.finish()) if spelling == FREE else ""
    tail += holder.finish()
    text.append(tail)
    finish = "stop" if holder.stopped else "length"
    mean = nats / tokens if tokens else None
    yield Piece(tail, Sample(context.prompt, "".join(text), tokens, mean, finish))
