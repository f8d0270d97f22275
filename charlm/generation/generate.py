"""A prompt in, new text out, piece by piece.

The context is the empty state after one unscored boundary token and the prompt. Samples of one
prompt share its reading.
"""

from collections.abc import Iterable, Iterator

from charlm.generation import beam
from charlm.generation.backward import BackwardWriting
from charlm.generation.context import Context, StepDecoder
from charlm.generation.drawing import draw
from charlm.generation.numpy_ops import on_one_thread
from charlm.generation.settings import GenerationSettings
from charlm.generation.writing import Piece, Writing
from charlm.text.direction import BACKWARD, FORWARD
from charlm.text.tokenizers.base import Tokenizer

WRITINGS: dict[str, type[Writing]] = {FORWARD: Writing, BACKWARD: BackwardWriting}


def generate(
    decoder: StepDecoder,
    tokenizer: Tokenizer,
    prompt: str,
    settings: GenerationSettings,
    sample_index: int = 0,
    direction: str = FORWARD,
) -> Iterator[Piece]:
    """Sample number `sample_index` that follows `prompt` (backward: that goes before it), as it
    is written; with a beam, the one that so many are better than.

    A sample depends on (model, prompt, settings, sample_index) alone. In tokens, a length
    that ends inside a spelled unit goes on for at most `writing.FINISHING` tokens until it is
    complete, and drops it otherwise. DataError: a prompt that no UTF-8 text can hold.
    """
    samples = range(sample_index, sample_index + 1)
    yield from _write(decoder, tokenizer, [prompt], settings, direction, samples)


def generate_many(
    decoder: StepDecoder,
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    settings: GenerationSettings,
    direction: str = FORWARD,
) -> Iterator[Piece]:
    """`settings.num_samples` samples of each prompt, one after the other in order.

    Sample i of a prompt is bit for bit what `generate` gives for it alone. As many as are worth
    it are computed side by side, of all prompts that there are: whoever must not wait for a
    prompt gives those that have come.
    """
    samples = range(settings.num_samples)
    yield from _write(decoder, tokenizer, prompts, settings, direction, samples)


def _write(
    decoder: StepDecoder,
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    settings: GenerationSettings,
    direction: str,
    samples: range,
) -> Iterator[Piece]:
    kind = WRITINGS[direction]

    def beginnings() -> Iterator[tuple[Context, Writing]]:
        for prompt in prompts:
            ids = kind.prompt_ids(tokenizer, prompt)
            context = Context.read(decoder, tokenizer, prompt, ids)
            yield context, kind(context, settings)

    with on_one_thread():
        if settings.sampling.beam is None:
            yield from draw(beginnings(), settings, samples)
            return
        for context, writing in beginnings():
            found = beam.search(context, writing, settings.sampling.beam)
            for sample in found[samples.start : samples.stop]:
                yield Piece(sample.text, context.prompt, sample)
